"""Where the starting weights come from."""

from pathlib import Path

import pytest

from pplr_cli.config import Model
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import start
from pplr_cli.weights.start import start_file


def test_random_needs_no_file() -> None:
    assert start_file(Model(weights="random"), Silent()) is None


def test_synthetic_weights_are_shipped() -> None:
    path = start_file(Model(backbone="tiny", weights="synthetic"), Silent())
    assert path is not None
    assert 0 < path.stat().st_size <= 1_500_000


def test_imagenet_weights_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "imagenet_file", lambda backbone, reporter: Path(f"{backbone}.pth"))
    assert start_file(Model(backbone="resnet34"), Silent()) == Path("resnet34.pth")


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lup.pth"
    with pytest.raises(WeightsError, match=r"lup\.pth`: no such file"):
        start_file(Model(weights=str(path)), Silent())
    path.touch()
    assert start_file(Model(weights=str(path)), Silent()) == path
