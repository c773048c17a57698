"""Settings and network of a weights file."""

from pathlib import Path

import pytest
import torch

from pplr_cli.commands import model
from pplr_cli.config import presets
from pplr_cli.engine.network import Network
from pplr_cli.errors import UsageError
from pplr_cli.runtime import Runtime
from pplr_cli.weights.loading import StateDict


def state(about: dict[str, object] | None) -> StateDict:
    torch.manual_seed(0)
    return StateDict(Path("x.pth"), Network("tiny", classes=5).state_dict(), about, ("a note",))


def test_recorded_settings_are_used_unless_a_preset_is_named(tiny_preset: Path) -> None:
    recorded = presets.resolve(str(tiny_preset), "train", ["data.height=64"])
    own = state({"settings": recorded.document()})
    assert model.settings(own, None, []) == recorded
    assert model.settings(own, None, ["data.width=8"]).data.width == 8
    assert model.settings(own, str(tiny_preset), []).data.height == 32


@pytest.mark.parametrize("about", [None, {"mode": "train"}])
def test_without_settings_a_preset_is_asked_for(about: dict[str, object] | None) -> None:
    with pytest.raises(UsageError, match="does not say with which settings") as caught:
        model.settings(state(about), None, [])
    assert "--preset: demo, market" in str(caught.value.hint)


def test_the_network_has_the_weights(tiny_preset: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train")
    network = model.network(state(None), config, Runtime())
    expected = state(None).tensors["base.0.weight"]
    assert torch.equal(network.state_dict()["base.0.weight"], expected)
