"""Wrong settings in words for people."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pplr_cli.config import problems
from pplr_cli.config.backbones import NAMES
from pplr_cli.config.fields import Clustering, Config


def told(**values: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"data": {"name": "market"}} | values)
    return [str(problem) for problem in problems.problems(caught.value)]


BACKBONES = f"one of {', '.join(NAMES)}, or timm:NAME"


@pytest.mark.parametrize(
    ("block", "name", "value", "shown", "allowed"),
    [
        ("optim", "epochs", 0, "0", "must be greater than or equal to 1"),
        ("optim", "epochs", 10**9, "1000000000", "must be less than or equal to 1000000"),
        (
            "optim",
            "epochs",
            1.5,
            "1.5",
            "must be a valid integer, got a number with a fractional part",
        ),
        ("optim", "epochs", True, "true", "must not be true or false"),
        ("optim", "epochs", "x" * 100, "x" * 60 + "...", "must be a valid integer"),
        ("optim", "lr", float("nan"), "nan", "must be a finite number"),
        ("optim", "lr", None, "null", "must be a valid number"),
        ("optim", "lr_factor", 2, "2", "must be less than or equal to 1"),
        ("clustering", "eps", 2, "2", "must be less than 1"),
        ("engine", "memory_gb", 0, "0", "must be greater than 0"),
        ("model", "backbone", "vgg", "vgg", f"must be {BACKBONES}"),
        ("clustering", "distance", "cosine", "cosine", "must be `jaccard` or `camera_jaccard`"),
        ("data", "name", False, "false", "must not be true or false"),
        ("data", "name", "", "", "must have at least 1 character"),
        ("evaluation", "at_start", "perhaps", "perhaps", "must be a valid boolean"),
    ],
)
def test_key_value_and_what_is_allowed(
    block: str, name: str, value: Any, shown: str, allowed: str
) -> None:
    assert told(**{block: {name: value}}) == [f"`{block}.{name}` = `{shown}`: {allowed}"]


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--lr", "optim.lr"),
        ("--learning-rate", "optim.lr"),
        ("--epochs", "optim.epochs"),
        ("--epoch", "optim.epochs"),
        ("--batch-size", "batch.size"),
        ("--batch_size", "batch.size"),
        ("--height", "data.height"),
        ("--Weight-Decay", "optim.weight_decay"),
        ("--eps", "clustering.eps"),
        ("--backbone", "model.backbone"),
        ("--optim", None),
        ("--gpu", None),
    ],
)
def test_the_setting_that_an_option_means(option: str, key: str | None) -> None:
    assert problems.setting_for(option) == key


@pytest.mark.parametrize(
    ("block", "name", "value", "hint"),
    [
        ("clustering", "search", "aproximate", "did you mean `approximate`?"),
        ("model", "backbone", "resnet50_ibn", "did you mean `resnet50_ibn_a`?"),
        ("data", "cache", "xyz", None),
        ("optim", "lr", "fast", None),
    ],
)
def test_the_nearest_value_is_the_hint(block: str, name: str, value: str, hint: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(
            {
                "data": {"name": "market"},
                block: {name: value} | ({"name": "market"} if block == "data" else {}),
            }
        )
    assert [problem.hint for problem in problems.problems(caught.value)] == [hint]


def test_blocks_and_missing_keys() -> None:
    assert told(optim=5) == ["`optim` = `5`: must be a block of settings"]
    assert told(data={}) == ["`data.name`: missing"]


def test_rules_between_keys_name_them() -> None:
    assert told(batch={"size": 62}) == [
        "`batch.size` = `62`: must be two or more times `batch.instances` = `4`"
    ]
    assert told(model={"backbone": "tiny"}) == [
        "`model.weights` = `imagenet`: there are none for `tiny`; "
        "there are synthetic, random, or a file"
    ]


@pytest.mark.parametrize(
    ("values", "key", "near"),
    [
        ({"optim": {"epoch": 5}}, "optim.epoch", "optim.epochs"),
        ({"optimiser": {}}, "optimiser", "optim"),
        ({"lr": 1e-4}, "lr", "optim.lr"),
        ({"iters": 5}, "iters", "optim.iters"),
        ({"optim": {"k1": 5}}, "optim.k1", "clustering.k1"),
        ({"clustering": {"learning_rate": 1}}, "clustering.learning_rate", None),
        ({"optim": {"camera_wieght": 1}}, "optim.camera_wieght", "loss.camera_weight"),
    ],
)
def test_unknown_key_names_the_nearest(values: dict[str, Any], key: str, near: str | None) -> None:
    known = (
        f"did you mean `{near}`?" if near else f"known here: {', '.join(Clustering.model_fields)}"
    )
    assert told(**values) == [f"`{key}`: unknown key; {known}"]


def test_all_errors_together() -> None:
    texts = told(optim={"lr": -1, "epochs": 0}, clustering={"eps": 3, "k3": 1}, typo=1)
    assert [text.split("`")[1] for text in texts] == [
        "clustering.eps",
        "clustering.k3",
        "optim.epochs",
        "optim.lr",
        "typo",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields]) | st.text(), VALUES, max_size=4))
def test_whatever_is_wrong_can_be_told(values: dict[str, Any]) -> None:
    texts = told(**{"": None}, **{key: value for key, value in values.items() if key})
    assert "``: unknown key; " in " ".join(texts)
    assert all(text.startswith("`") and len(text) < 400 for text in texts)
