"""What can be downloaded."""

from pathlib import Path

import pytest
from torchvision.models import ResNet50_Weights

from pplr_cli.weights.catalogue import BACKBONES, everything, imagenet


def test_names_are_as_documented() -> None:
    official = ["market", "market-cam", "msmt17", "msmt17-cam", "veri", "veri-cam"]
    assert list(everything()) == [*official, *BACKBONES]


def test_imagenet_weights_are_the_first_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "/shared/torch")
    entry = imagenet("resnet50")
    assert entry.url == ResNet50_Weights.IMAGENET1K_V1.url
    assert entry.sha256 == "0676ba61"
    assert entry.target == Path("/shared/torch/hub/checkpoints/resnet50-0676ba61.pth")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_an_address_and_a_hash(backbone: str) -> None:
    entry = imagenet(backbone)
    assert entry.url.startswith("https://")
    assert entry.target.name.startswith(f"{backbone}-{entry.sha256}")
    assert len(entry.sha256) >= 8


def test_every_target_is_another_file() -> None:
    entries = everything().values()
    assert len({entry.target for entry in entries}) == len(entries)
    assert all(entry.description for entry in entries)
