"""Resolved settings as a preset file."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.config import presets
from pplr_cli.config.document import annotated, differences
from pplr_cli.config.fields import Clustering, Config


@pytest.mark.parametrize("name", presets.names())
def test_shown_preset_resolves_to_the_same(name: str, tmp_path: Path) -> None:
    plain, camera = presets.resolve(name, "train"), presets.resolve(name, "train-cam")
    path = tmp_path / "saved.yaml"
    path.write_text(annotated(plain, differences(plain.document(), camera.document())))
    assert presets.resolve(str(path), "train") == plain
    assert presets.resolve(str(path), "train-cam") == camera


@given(
    st.builds(
        dict,
        title=st.text(),
        data=st.builds(dict, name=st.text(min_size=1)),
        optim=st.builds(dict, lr=st.floats(1e-300, 1e6)),
        model=st.builds(dict, weights=st.text(min_size=1)),
    )
)
def test_any_value_survives(values: dict[str, object]) -> None:
    config = Config.model_validate(values)
    assert Config.model_validate(yaml.safe_load(annotated(config))) == config


def test_every_setting_carries_its_description() -> None:
    lines = annotated(presets.resolve("market", "train")).splitlines()
    for line in lines:
        assert line.endswith(":") or "  # " in line, line
    eps = Clustering.model_fields["eps"]
    assert f"  # {eps.description}" in next(line for line in lines if line.startswith("  eps: 0.5"))


def test_differences_go_block_by_block() -> None:
    base = {"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": {"g": 4}}
    other = {"a": 1, "b": {"c": 5, "d": {"e": 6}}, "f": {"g": 4}}
    assert differences(base, other) == {"b": {"c": 5, "d": {"e": 6}}}
    assert differences(base, base) == {}
