"""Backbones of torchvision and timm: names, maps, replicas, published files, ONNX."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from torchvision import models

from pplr_cli.config import backbones, presets
from pplr_cli.engine.network import Network, initial_network
from pplr_cli.engine.replicas import has_replicas, set_replicas
from pplr_cli.engine.zoo import BACKBONES, RANDOM, build_backbone, check_backbone
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.weights.fitting import load_backbone
from tests.shared_reporter import Recorder

VIT = "timm:test_vit"
CNN = "timm:test_efficientnet"


def test_the_settings_know_every_backbone() -> None:
    assert list(BACKBONES) == list(backbones.NAMES)


@pytest.mark.parametrize("name", [*backbones.TORCHVISION, VIT, CNN, "timm:test_convnext"])
def test_every_backbone_gives_a_map_and_learns(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    network = Network(name, parts=2, classes=3)
    set_replicas(network, 2)
    output = network.train()(torch.randn(4, 3, 64, 32), 3)
    assert output.part_features.shape == (4, network.feature_size, 2)
    output.part_logits.sum().backward()
    first = next(network.base.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
    assert all(m.p == 0 for m in network.modules() if isinstance(m, RANDOM))


@pytest.mark.parametrize("name", ["mobilenet_v2", CNN, "resnet18_ibn_a", VIT])
def test_replicas_hold_for_every_batchnorm(name: str, tiny_preset: Path) -> None:
    """Two replicas are two networks with half of the batch each; without any it says so."""
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    notes = Recorder()
    settings = [f"model.backbone={name}", "batch.replicas=2"]
    base = initial_network(presets.resolve(str(tiny_preset), "train", settings), None, notes).base
    none = name == VIT
    assert has_replicas(base) != none
    assert notes.news == none * [
        f"`{name}` has no BatchNorm: `batch.replicas` concerns the necks only"
    ]
    first, second = copy.deepcopy(base).train(), copy.deepcopy(base).train()
    set_replicas(base, 2)
    images = torch.randn(4, 3, 64, 32)
    with torch.no_grad():
        expected = torch.cat([first.map(images[:2]), second.map(images[2:])])
        torch.testing.assert_close(base.train().map(images), expected)
    torch.testing.assert_close(base.state_dict(), first.state_dict())


@pytest.mark.parametrize("name", ["mobilenet_v2", "regnet_y_800mf"])
def test_files_of_torchvision_load(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = models.get_model(name).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    backbone = build_backbone(name).eval()
    (note,) = load_backbone(tmp_path / "net.pth", backbone)
    assert note.startswith("left out 2 other entries")
    images = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        grid = backbone.map(images)
        head = net.fc if name.startswith("regnet") else net.classifier
        torch.testing.assert_close(head(grid.mean((2, 3))), net(images))


@pytest.mark.parametrize("name", [VIT, CNN])
def test_files_of_timm_load(name: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model(name.removeprefix("timm:")).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    backbone = build_backbone(name).eval()
    assert backbone.channels == net.num_features
    (note,) = load_backbone(tmp_path / "net.pth", backbone)
    assert note.startswith("left out 2 other entries")
    size = net.pretrained_cfg["input_size"][1:]
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        features = net.forward_features(images)
        grid = backbone.map(images)
    if name == CNN:
        torch.testing.assert_close(grid, features)
    else:  # row by row after the class token
        patch = net.patch_embed.patch_size[0]
        for row in range(size[0] // patch):
            for column in range(size[1] // patch):
                token = features[0, 1 + row * (size[1] // patch) + column]
                torch.testing.assert_close(grid[0, :, row, column], token)


def test_what_timm_does_not_have() -> None:
    pytest.importorskip("timm")
    with pytest.raises(UsageError, match="timm has no such network") as caught:
        build_backbone("timm:test_vitt")
    assert caught.value.hint == "did you mean `timm:test_vit`?"


@pytest.mark.parametrize(
    ("name", "height", "what"),
    [
        ("timm:swin_tiny_patch4_window7_224", 64, "Input height"),
        ("convnext_tiny", 16, "(Kernel|Output) size"),
        ("resnet18_ibn_a", 16, "spatial element"),
        ("timm:test_vit", 100, ""),  # padded to patches
        ("mobilenet_v2", 16, ""),
    ],
)
def test_sizes_that_do_not_fit_are_known_before_the_start(
    name: str, height: int, what: str
) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    if not what:
        check_backbone(name, height, 16)
        return
    with pytest.raises(UsageError, match=rf"takes no images of {height} x 16 pixels: .*{what}"):
        check_backbone(name, height, 16)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PplrError, match=r"`model\.backbone=timm:resnet18` needs") as caught:
        check_backbone("timm:resnet18", 64, 32)
    assert "`pip install 'pplr[timm]'`" in (caught.value.hint or "")
