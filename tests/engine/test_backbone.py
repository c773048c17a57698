"""The residual backbones: sizes, strides, and the golden numbers of IBN."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.engine.zoo import BACKBONES
from pplr_cli.weights.fitting import fit_backbone
from pplr_cli.weights.loading import StateDict


@pytest.mark.parametrize(
    ("name", "channels"),
    [("tiny", 128), ("resnet18", 512), ("resnet34_ibn_a", 512), ("resnet50", 2048)],
)
def test_map_is_a_sixteenth_of_the_image(name: str, channels: int) -> None:
    backbone = BACKBONES[name]().eval()
    assert backbone.channels == channels
    with torch.no_grad():
        assert backbone.map(torch.zeros(1, 3, 96, 32)).shape == (1, channels, 6, 2)


def test_tiny_is_small() -> None:
    parameters = sum(p.numel() for p in BACKBONES["tiny"]().parameters())
    assert parameters * 2 < 1_500_000  # bytes in half precision


def filled(index: int, name: str, shape: list[int]) -> torch.Tensor:
    """Return the entry of the golden network of IBN (rules: tests/golden/README.md)."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    count = math.prod(shape)
    t = torch.sin(0.37 * torch.arange(count, dtype=torch.float64) + 0.11 * index).reshape(shape)
    if name.endswith("running_var"):
        t = 1 + t.square() / 2
    elif len(shape) == 1:
        t = t / 10 + (1 if name.endswith("weight") else 0)
    else:
        t = t * math.sqrt(2 / math.prod(shape[1:]))
    return t.float()


@pytest.mark.parametrize("name", ["resnet18_ibn_a", "resnet50_ibn_a"])
def test_ibn_is_the_official_one(name: str, golden_dir: Path) -> None:
    golden: dict[str, Any] = json.loads((golden_dir / "ibn.json").read_text())[name]
    entries = enumerate(golden["names"])
    tensors = {name: filled(index, name, shape) for index, (name, shape) in entries}
    backbone = BACKBONES[name]().eval()
    fit_backbone(StateDict(Path("ibn.pth"), tensors, None, ()), backbone)
    images = torch.sin(0.05 * torch.arange(2 * 3 * 64 * 32, dtype=torch.float64))
    with torch.no_grad():
        grid = backbone.map(images.float().reshape(2, 3, 64, 32))
    assert list(grid.shape) == golden["map_shape"]
    pooled = grid.mean((2, 3))
    torch.testing.assert_close(pooled[:, :64], torch.tensor(golden["pooled"]), rtol=1e-4, atol=5e-5)
    torch.testing.assert_close(
        pooled.norm(dim=1), torch.tensor(golden["pooled_norm"]), rtol=1e-4, atol=0
    )
