"""The backbones' sizes and strides."""

from typing import get_args

import pytest
import torch

from pplr_cli.config import backbones
from pplr_cli.engine.backbone import BACKBONES


@pytest.mark.parametrize(
    ("name", "channels"), [("tiny", 128), ("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_map_is_a_sixteenth_of_the_image(name: str, channels: int) -> None:
    backbone = BACKBONES[name]().eval()
    assert backbone.channels == channels
    with torch.no_grad():
        assert backbone.map(torch.zeros(1, 3, 96, 32)).shape == (1, channels, 6, 2)


def test_the_settings_know_every_backbone() -> None:
    assert set(BACKBONES) == set(get_args(backbones.Backbone)) >= set(backbones.IMAGENET)


def test_tiny_is_small() -> None:
    parameters = sum(p.numel() for p in BACKBONES["tiny"]().parameters())
    assert parameters * 2 < 1_500_000  # bytes in half precision
