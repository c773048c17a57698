"""The settings as typed fields."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pplr_cli.config.fields import Config

MINIMAL: dict[str, Any] = {"data": {"name": "market"}}


def leaves(section: type[BaseModel] = Config, prefix: str = "") -> list[tuple[str, Any]]:
    """Every setting as (dotted key, field)."""
    found: list[tuple[str, Any]] = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += leaves(inner, f"{prefix}{name}.")
        else:
            found.append((prefix + name, field))
    return found


KEYS = [key for key, _ in leaves()]
NUMBERS = [
    key for key, field in leaves() if {int, float} & {field.annotation, *get_args(field.annotation)}
]


def document(key: str, value: Any) -> dict[str, Any]:
    *blocks, name = key.split(".")
    inner: Any = {name: value}
    for block in reversed(blocks):
        inner = {block: inner}
    data = MINIMAL["data"] | inner.get("data", {})
    return {**inner, "data": data}


def wrong_keys(values: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(values)
    return {".".join(map(str, error["loc"])) for error in caught.value.errors()}


def test_defaults_are_the_official_settings() -> None:
    config = Config.model_validate(MINIMAL)
    assert (config.data.height, config.data.width) == (384, 128)
    clustering = config.clustering
    assert (clustering.k1, clustering.k2, clustering.eps, clustering.min_samples) == (30, 6, 0.5, 4)
    assert config.agreement.k == 20
    loss = config.loss
    assert (loss.beta, loss.aals_epoch, loss.smoothing) == (0.5, 5, 0.1)
    assert (loss.camera_weight, loss.camera_temperature, loss.camera_negatives) == (0.5, 0.07, 50)
    assert (config.batch.size, config.batch.instances, config.batch.replicas) == (64, 4, 4)
    optim = config.optim
    assert (optim.epochs, optim.iters, optim.lr, optim.weight_decay) == (50, 400, 3.5e-4, 5e-4)
    assert (optim.lr_step, optim.lr_factor, config.evaluation.every) == (20, 0.1, 5)
    assert (config.model.backbone, config.model.parts, config.model.classes) == (
        "resnet50",
        3,
        3000,
    )


def test_every_setting_is_described() -> None:
    assert [key for key, field in leaves() if not field.description] == []


def test_document_gives_the_config_back() -> None:
    config = Config.model_validate(document("optim.lr", 1e-3))
    assert Config.model_validate(config.document()) == config


def test_settings_cannot_be_changed() -> None:
    config = Config.model_validate(MINIMAL)
    with pytest.raises(ValidationError):
        config.seed = 5  # type: ignore[misc]


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1, True, "many", []])
def test_numbers_refuse_what_is_none(key: str, value: Any) -> None:
    assert wrong_keys(document(key, value)) == {key}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [{"a": 1}, [1], b"\xff"])
def test_no_setting_takes_a_block_or_a_list(key: str, value: Any) -> None:
    if key.endswith("title") or isinstance(value, dict | list):
        assert wrong_keys(document(key, value)) == {key}


@given(
    st.sampled_from(NUMBERS),
    st.none()
    | st.booleans()
    | st.text("abc xyz", min_size=1)
    | st.floats(max_value=-1e-300)
    | st.integers(max_value=-1)
    | st.just(float("nan"))
    | st.lists(st.integers()),
)
def test_any_wrong_value_is_laid_to_its_key(key: str, value: Any) -> None:
    assert wrong_keys(document(key, value)) == {key}


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [10**19, 1e308, "1e308", "9" * 4000])
def test_every_number_has_an_upper_bound(key: str, value: Any) -> None:
    assert wrong_keys(document(key, value)) == {key}


@given(st.sampled_from(["clustering.eps", "loss.beta", "loss.smoothing"]), st.floats(1.0001, 1e9))
def test_fractions_end_at_one(key: str, value: float) -> None:
    assert wrong_keys(document(key, value)) == {key}


def test_numbers_may_come_as_text() -> None:
    assert Config.model_validate(document("optim.lr", "1e-4")).optim.lr == 1e-4


@pytest.mark.parametrize(
    ("size", "instances", "replicas", "fits"),
    [
        (64, 4, 4, True),
        (64, 8, 1, True),
        (4, 2, 2, True),
        (64, 5, 1, False),
        (4, 4, 1, False),
        (64, 4, 3, False),
        (8, 2, 8, False),
    ],
)
def test_batch_holds_two_clusters_and_splits_into_replicas(
    size: int, instances: int, replicas: int, fits: bool
) -> None:
    values = {**MINIMAL, "batch": {"size": size, "instances": instances, "replicas": replicas}}
    if fits:
        assert Config.model_validate(values).batch.size == size
    else:
        assert wrong_keys(values) == {"batch"}


def test_starts_that_do_not_exist() -> None:
    pairs = (("tiny", "imagenet"), ("resnet50", "synthetic"), ("resnet50", "ibn"))
    for backbone, weights in pairs:
        values = {**MINIMAL, "model": {"backbone": backbone, "weights": weights}}
        assert wrong_keys(values) == {""}


def test_backbones_are_known_or_of_timm() -> None:
    for backbone, fits in (("timm:vit_small_patch16_224", True), ("timm:", False), ("vgg", False)):
        values = {**MINIMAL, "model": {"backbone": backbone, "weights": "random"}}
        if fits:
            assert Config.model_validate(values).model.backbone == backbone
        else:
            assert wrong_keys(values) == {"model.backbone"}
