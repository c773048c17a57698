"""The backbones' sizes and strides."""

import pytest
import torch

from pplr_cli.engine.backbone import build_backbone, feature_size


@pytest.mark.parametrize(
    ("name", "channels"), [("tiny", 128), ("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_map_is_a_sixteenth_of_the_image(name: str, channels: int) -> None:
    backbone = build_backbone(name).eval()
    assert feature_size(backbone) == channels
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 96, 32)).shape == (1, channels, 6, 2)


def test_tiny_is_small() -> None:
    parameters = sum(p.numel() for p in build_backbone("tiny").parameters())
    assert parameters * 2 < 1_500_000  # bytes in half precision
