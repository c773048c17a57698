"""Numbers for `auto`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.config.fitting import fitted
from tests.shared_reporter import Recorder

AUTO = ("optim.iters=auto", "batch.size=auto")


def market(*settings: str) -> Config:
    return presets.resolve("market", "train", settings)


@pytest.mark.parametrize(
    ("images", "size", "iters"),
    [(12_936, 64, 400), (32_621, 64, 1009), (500, 64, 15), (256, 64, 8), (100, 24, 8), (10, 8, 2)],
)
def test_market_keeps_its_numbers_and_small_sets_get_fewer(
    images: int, size: int, iters: int
) -> None:
    listener = Recorder()
    found = fitted(market(*AUTO), images, listener)
    assert (found.batch.size, found.optim.iters) == (size, iters)
    line = f"chosen for {images:,} images: `batch.size` = {size}, `optim.iters` = {iters}"
    assert listener.news == [line]
    assert found == market(f"optim.iters={iters}", f"batch.size={size}")


def test_numbers_stay() -> None:
    listener, config = Recorder(), market("batch.size=32")
    assert fitted(config, 500, listener) is config
    assert not listener.news
    half = fitted(market("batch.size=32", "optim.iters=auto"), 12_936, listener)
    assert (half.batch.size, half.optim.iters) == (32, 800)
    assert listener.news == ["chosen for 12,936 images: `optim.iters` = 800"]


@given(
    images=st.integers(1, 100_000),
    instances=st.integers(2, 9),
    replicas=st.integers(1, 8),
)
def test_every_choice_is_valid(images: int, instances: int, replicas: int) -> None:
    config = market(*AUTO, f"batch.instances={instances}", f"batch.replicas={replicas}")
    found = fitted(config, images, Recorder())
    assert Config.model_validate(found.document()) == found


def test_auto_is_kept_in_documents_until_it_is_replaced() -> None:
    config = market(*AUTO)
    assert config.document()["optim"]["iters"] == "auto"
    assert Config.model_validate(config.document()) == config
