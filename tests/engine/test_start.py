"""The network that training begins with."""

from pathlib import Path

import pytest
import torch
from torchvision import models

from pplr_cli.config import presets
from pplr_cli.engine.start import starting_network
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent


def test_backbone_takes_torchvision_weights(tiny_preset: Path, tmp_path: Path) -> None:
    resnet = models.resnet18(num_classes=7)
    torch.save(resnet.state_dict(), tmp_path / "r18.pth")
    config = presets.resolve(str(tiny_preset), "train", ["model.backbone=resnet18"])
    network = starting_network(config, tmp_path / "r18.pth", Silent())
    torch.testing.assert_close(network.base[0].weight, resnet.conv1.weight)
    torch.testing.assert_close(network.base[7][1].conv2.weight, resnet.layer4[1].conv2.weight)


def test_wrong_architecture_is_refused(tiny_preset: Path, tmp_path: Path) -> None:
    torch.save(models.resnet18().state_dict(), tmp_path / "r18.pth")
    config = presets.resolve(str(tiny_preset), "train", ["model.backbone=resnet50"])
    with pytest.raises(WeightsError, match=r"r18\.pth"):
        starting_network(config, tmp_path / "r18.pth", Silent())


def test_the_seed_decides_what_is_drawn(tiny_preset: Path) -> None:
    configs = [presets.resolve(str(tiny_preset), "train", [f"seed={s}"]) for s in (1, 1, 2)]
    first, same, other = (starting_network(c, None, Silent()).head("0").weight for c in configs)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
