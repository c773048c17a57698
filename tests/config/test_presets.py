"""Presets: files, precedence, and what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.config.types import is_auto
from pplr_cli.errors import UsageError


@pytest.fixture
def preset(tmp_path: Path) -> Any:
    """Writes a preset file and returns its path as text."""

    def write(content: str | bytes) -> str:
        path = tmp_path / "mine.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def refusal(*arguments: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        presets.resolve(*arguments)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


# the shipped presets: the official settings

OFFICIAL = {
    # name: height, width, instances, eps, camera eps, camera weight
    "market": (384, 128, 4, 0.5, 0.4, 0.5),
    "msmt17": (384, 128, 4, 0.5, 0.6, 1.0),
    "veri": (256, 256, 8, 0.7, 0.7, 0.5),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_settings(name: str) -> None:
    plain, camera = presets.resolve(name, "train"), presets.resolve(name, "train-cam")
    assert (
        plain.data.height,
        plain.data.width,
        plain.batch.instances,
        plain.clustering.eps,
        camera.clustering.eps,
        camera.loss.camera_weight,
    ) == OFFICIAL[name]
    assert plain.data.name == name
    assert (plain.optim, plain.agreement) == (
        Config(data=plain.data).optim,
        Config(data=plain.data).agreement,
    )


def test_preset_for_own_crops_is_the_market_one_with_switches() -> None:
    for mode in ("train", "train-cam"):
        crops, market = presets.resolve("crops", mode), presets.resolve("market", mode)
        found = crops.clustering.model_copy(update={"find_tracks": False})
        assert (found, crops.loss, crops.model) == (market.clustering, market.loss, market.model)
        assert is_auto(crops.optim.iters)
        assert is_auto(crops.batch.size)


PLUS = {"market-plus": 0.4, "msmt17-plus": 0.6, "veri-plus": 0.6}  # eps with camera distances


@pytest.mark.parametrize("name", PLUS)
def test_settings_beyond_the_paper_change_the_switches_alone(name: str) -> None:
    official = name.removesuffix("-plus")
    plain, camera = presets.resolve(name, "train"), presets.resolve(name, "train-cam")
    assert plain.clustering == presets.resolve(official, "train").clustering
    assert camera.clustering.distance == "camera_jaccard"
    assert camera.clustering.eps == PLUS[name]
    for mode, found in (("train", plain), ("train-cam", camera)):
        expected = presets.resolve(official, mode)
        same = ("data", "agreement", "batch", "optim", "evaluation")
        assert [getattr(found, key) for key in same] == [getattr(expected, key) for key in same]
        assert (found.model.pooling, found.model.backbone) == ("gem", "resnet50_ibn_a")
        loss = found.loss.model_copy(update={"camera_entropy": False})
        assert loss == expected.loss


def test_shipped_presets_are_all_sound() -> None:
    assert presets.names() == ["crops", "demo", *sorted([*OFFICIAL, *PLUS])]
    for name in presets.names():
        assert presets.resolve(name, "train-cam").title


def test_folder_of_the_installed_package_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "__file__", str(tmp_path / "pplr_cli" / "config" / "presets.py"))
    assert presets.folder() == tmp_path / "presets"
    (tmp_path / "pplr_cli" / "_presets").mkdir(parents=True)
    assert presets.folder() == tmp_path / "pplr_cli" / "_presets"


# finding and precedence


def test_default_preset_camera_set(preset: Any) -> None:
    path = preset("data: {name: x}\nloss: {beta: 0.2}\ncamera: {loss: {beta: 0.3, smoothing: 0.2}}")
    assert presets.resolve(path, "train").loss.beta == 0.2
    camera = presets.resolve(path, "train-cam").loss
    assert (camera.beta, camera.smoothing, camera.aals_epoch) == (0.3, 0.2, 5)
    for mode in ("train", "train-cam"):
        assert presets.resolve(path, mode, ["loss.beta=0.4"]).loss.beta == 0.4  # type: ignore[arg-type]
    overrides = ["camera.loss.beta=0.9"]
    assert presets.resolve(path, "train", overrides).loss.beta == 0.2
    assert presets.resolve(path, "train-cam", overrides).loss.beta == 0.9


def test_last_set_wins() -> None:
    assert presets.resolve("market", "train", ["seed=2", "seed=3"]).seed == 3


def test_unknown_preset_names_the_nearest() -> None:
    error = refusal("markt", "train")
    assert error.message == "`markt`: no such preset"
    assert error.hint is not None
    assert "`market`" in error.hint
    assert ", ".join(presets.names()) in str(refusal("nothing-like-it", "train").hint)


@pytest.mark.parametrize("path", ["missing.yaml", "a/missing", "missing.yml"])
def test_missing_file(path: str) -> None:
    assert refusal(path, "train").message == f"`{path}`: no such preset file"


# YAML


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("", ":1:1", "empty"),
        ("# nothing\n", ":1:1", "empty"),
        ("- 1", ":1:1", "not a preset"),
        ("just words", ":1:1", "not a preset"),
        ("data:\n\tname: x", ":2:1", "a tab; YAML requires spaces"),
        ("data: {name: x}\nseed: 1\nseed: 2", ":3:1", "duplicate key `seed`"),
        ("data: {name: x, name: y}", ":1:17", "duplicate key `name`"),
        ("data: {name: x", ":1:15", "expected ',' or '}'"),
        ("a: b: c", ":1:5", "mapping values are not allowed here"),
        ("seed: !!python/object/apply:os.system [id]", ":1:7", "python/object/apply:os.system"),
        ("seed: !!python/name:os.system", ":1:7", "is not allowed"),
        ("data: &d {name: x}\nmodel: *d", ":2:8", "aliases are not allowed here"),
        ("a: 1\n---\nb: 1", ":2:1", "expected a single document"),
        ("? [1]\n: 2", ":1:3", "a key must be plain text"),
        ("data: {name: x}\nseed: \x00", ":2:7", "unacceptable character"),
        (b"data: {name: x}\ntitle: \xff", ":2:8", "not UTF-8 text"),
    ],
)
def test_broken_yaml(preset: Any, content: str | bytes, where: str, what: str) -> None:
    path = preset(content)
    message = refusal(path, "train").message
    assert message.startswith(f"`{path}{where}`: ")
    assert what in message


def test_deep_nesting_is_no_crash(preset: Any) -> None:
    assert "nested too deeply" in refusal(preset("[" * 5000), "train").message


def test_python_tags_run_nothing(preset: Any, tmp_path: Path) -> None:
    sentinel = tmp_path / "touched"
    call = f"!!python/object/apply:pathlib.Path.touch [{sentinel}]"
    refusal(preset(f"data: {{name: x}}\nseed: {call}"), "train")
    refusal("market", "train", [f"seed={call}"])
    assert not sentinel.exists()


def test_scientific_notation_without_a_point(preset: Any) -> None:
    path = preset("data: {name: x}\noptim: {lr: 1e-4}")
    assert isinstance(yaml.safe_load("1e-4"), str)  # what the coercion is for
    assert presets.resolve(path, "train").optim.lr == 1e-4
    assert presets.resolve("market", "train", ["optim.lr=1e-4"]).optim.lr == 1e-4


# wrong values


def test_one_error_stands_on_one_line() -> None:
    error = refusal("market", "train", ["optim.lr=-1"])
    assert error.message == "`market`: `optim.lr` = `-1`: must be greater than 0 (from `--set`)"


def test_the_hint_names_the_preset_in_use(preset: Any) -> None:
    for name in ("crops", "msmt17"):
        error = refusal(name, "train", ["clustering.epss=0.5"])
        assert error.hint == f"`pplr presets show {name}` lists every key"
    for text in ("data: {name: x}\nclusterin: {eps: 0.5}", "data: [", ""):
        assert "market" not in str(refusal(preset(text), "train").hint)
    values = presets.resolve("crops", "train").document() | {"clusterin": 1}
    with pytest.raises(UsageError) as caught:
        presets.restore(values, "runs/a/config.yaml")
    assert caught.value.hint == "`pplr presets show NAME` lists every key"


def test_all_errors_of_both_modes_together(preset: Any) -> None:
    path = preset(
        "data: {name: x, height: 0}\nlr: 1\ncamera: {clustering: {eps: 2}, loss: {gamma: 1}}"
    )
    lines = refusal(path, "train", ["camera.loss.beta=7", "seed=x"]).message.splitlines()
    assert lines[0] == f"`{path}`: 6 settings are wrong"
    assert [line.split("`")[1] for line in lines[1:]] == [
        "data.height",
        "seed",
        "lr",
        "camera.clustering.eps",
        "camera.loss.beta",
        "camera.loss.gamma",
    ]
    assert [line.endswith("(from `--set`)") for line in lines[1:]] == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("setting", "key", "marked"),
    [
        ("batch.size=63", "", True),
        ("camera.batch.size=63", "`camera`: ", True),
        ("model.backbone=tiny", "", True),
        ("seed=3", "", False),
    ],
)
def test_rule_between_keys_that_set_breaks(
    preset: Any, setting: str, key: str, marked: bool
) -> None:
    path = preset("data: {name: x}" if marked else "data: {name: x}\nbatch: {size: 63}")
    message = refusal(path, "train", [setting]).message
    assert message.startswith(f"`{path}`: {key}`")
    assert message.endswith("(from `--set`)") == marked


def test_rule_broken_by_the_camera_block_only(preset: Any) -> None:
    path = preset("data: {name: x}\ncamera: {batch: {size: 62}}")
    assert refusal(path, "train").message == (
        f"`{path}`: `camera`: `batch.size` = `62`: must be two or more times "
        "`batch.instances` = `4`"
    )


@pytest.mark.parametrize("block", ["5", "[1]", "null", "text"])
def test_camera_must_be_a_block(preset: Any, block: str) -> None:
    path = preset(f"data: {{name: x}}\ncamera: {block}")
    assert refusal(path, "train").message == f"`{path}`: `camera` must be a block of settings"


def test_plain_values_are_validated_too() -> None:
    assert presets.restore({"data": {"name": "x"}}, "run").data.name == "x"
    with pytest.raises(UsageError, match="`run`: `data`: missing"):
        presets.restore({}, "run")
    with pytest.raises(UsageError, match=r"equal to 1 \(from `--set`\)$"):
        presets.restore({"data": {"name": "x"}}, "run", ["optim.epochs=0"])


# --set


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("a.b=1", ["a", "b"], 1),
        ("a=0.5", ["a"], 0.5),
        ("a=", ["a"], None),
        ("a=true", ["a"], True),
        ("a='1'", ["a"], "1"),
        ("a=/some/path=x", ["a"], "/some/path=x"),
        ("a=1 + 1", ["a"], "1 + 1"),
        ("a=__import__('os')", ["a"], "__import__('os')"),
    ],
)
def test_values_are_yaml_scalars(text: str, keys: list[str], value: Any) -> None:
    assert presets.parse_override(text) == (keys, value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "=1", "a.=1", ".a=1", "a..b=1", "camera=1", "a=[1]", "a={b: 1}", "a=b: c"),
        *("a=*x", "a='", "a=!!python/name:os.system", "a=@x"),
        pytest.param("a=" + "[" * 5000, id="deep"),
    ],
)
def test_no_scalar(text: str) -> None:
    with pytest.raises(UsageError, match=r"^`--set ") as caught:
        presets.parse_override(text)
    assert caught.value.hint


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        keys, value = presets.parse_override(text)
    except UsageError:
        return
    assert text.startswith(".".join(keys) + "=")
    assert not isinstance(value, dict | list)


@pytest.mark.parametrize("key", ["optim.learning_rate", "nothing", "data.name.deeper", "optim"])
def test_set_of_what_does_not_exist(key: str) -> None:
    message = refusal("market", "train", [f"{key}=5"]).message
    assert "`market`: `" in message
    assert key.removesuffix(".deeper") in message


@pytest.mark.parametrize("value", ["2024-13-01", "9" * 5000])
def test_scalars_that_do_not_convert_are_wrong_usage(tmp_path: Path, value: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"title: {value}\n")
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        presets.resolve(str(path), "train", [])
    with pytest.raises(UsageError, match="--set seed=") as caught:
        presets.resolve("demo", "train", [f"seed={value}"])
    assert len(caught.value.message) < 300
