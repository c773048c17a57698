"""The network against the official state dict and the official features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision import models

from pplr_cli.config import presets
from pplr_cli.engine.network import (
    Network,
    equal_stripe_means,
    initial_network,
    stripe_means,
)
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.terminal.console import Console
from pplr_cli.weights.initial import SYNTHETIC


def test_state_dict_is_the_official_one(
    official_entries: list[tuple[str, tuple[int, ...]]],
) -> None:
    state = Network("resnet50", parts=3, classes=3000).state_dict()
    assert [(name, tuple(value.shape)) for name, value in state.items()] == official_entries


def test_features_are_the_official_ones(
    golden_network: Network, golden_images: torch.Tensor, golden_dir: Path, device: torch.device
) -> None:
    golden = np.load(golden_dir / "model_eval.npz")
    with torch.no_grad():
        features = golden_network.to(device).eval().embed(golden_images.to(device))
    global_feature, *part_features = features.cpu()
    np.testing.assert_allclose(global_feature, golden["global_features"], atol=5e-6, rtol=0)
    np.testing.assert_allclose(
        torch.stack(part_features, 2), golden["part_features"], atol=5e-6, rtol=0
    )


@pytest.mark.parametrize("height", [3, 6, 7, 8, 16, 24])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_stripes_pool_like_adaptive_average_pooling(height: int, parts: int) -> None:
    grid = torch.randn(2, 5, height, 4)
    pooled = torch.stack(stripe_means(grid, parts), 2)
    torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(grid, (parts, 1)).squeeze(3))


def test_logits_are_cut_to_the_clusters() -> None:
    network = Network("tiny", parts=2, classes=9).train()
    output = network(torch.randn(4, 3, 32, 16), 5)
    assert output.global_logits.shape == (4, 5)
    assert output.part_logits.shape == (4, 5, 2)
    assert output.part_features.shape == (4, network.feature_size, 2)


def test_neck_biases_are_frozen_and_zero() -> None:
    network = Network("tiny")
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {f"bnneck{branch}.bias" for branch in ("", "0", "1", "2")}
    assert all((network.get_parameter(name) == 0).all() for name in frozen)


def test_backbone_takes_torchvision_weights(tiny_preset: Path, tmp_path: Path) -> None:
    resnet = models.resnet18(num_classes=7)
    torch.save(resnet.state_dict(), tmp_path / "r18.pth")
    config = presets.resolve(str(tiny_preset), "train", ["model.backbone=resnet18"])
    network = initial_network(config, tmp_path / "r18.pth", Silent())
    torch.testing.assert_close(network.base[0].weight, resnet.conv1.weight)
    torch.testing.assert_close(network.base[7][1].conv2.weight, resnet.layer4[1].conv2.weight)


def test_included_weights_are_described_in_detail_only(capsys: pytest.CaptureFixture[str]) -> None:
    config = presets.resolve("demo", "train", [])
    initial_network(config, SYNTHETIC, Console())
    assert capsys.readouterr().err == ""
    initial_network(config, SYNTHETIC, Console(verbosity=1))
    assert "took the backbone from the entries that begin with `base.`\n" in capsys.readouterr().err


def test_a_trained_network_goes_on_with_its_necks(tiny_preset: Path, tmp_path: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train")
    trained = Network.of(config.model)
    for tensor in trained.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    torch.save(trained.state_dict(), tmp_path / "last.pth")
    network = initial_network(config, tmp_path / "last.pth", Silent())
    images = torch.rand(2, 3, 32, 16)
    torch.testing.assert_close(network.eval().embed(images), trained.eval().embed(images))
    assert not torch.equal(network.head("").weight, trained.head("").weight)


def test_of_a_network_with_other_parts_the_backbone_is_taken(
    tiny_preset: Path, tmp_path: Path
) -> None:
    config = presets.resolve(str(tiny_preset), "train")
    other = Network(config.model.backbone, config.model.parts + 1, 5)
    torch.save(other.state_dict(), tmp_path / "last.pth")
    network = initial_network(config, tmp_path / "last.pth", Silent())
    own = next(iter(network.base.state_dict().values()))
    torch.testing.assert_close(own, next(iter(other.base.state_dict().values())))


def test_wrong_architecture_is_refused(tiny_preset: Path, tmp_path: Path) -> None:
    torch.save(models.resnet18().state_dict(), tmp_path / "r18.pth")
    config = presets.resolve(str(tiny_preset), "train", ["model.backbone=resnet50"])
    with pytest.raises(WeightsError, match=r"r18\.pth"):
        initial_network(config, tmp_path / "r18.pth", Silent())


def test_the_seed_decides_what_is_drawn(tiny_preset: Path) -> None:
    configs = [presets.resolve(str(tiny_preset), "train", [f"seed={s}"]) for s in (1, 1, 2)]
    first, same, other = (initial_network(c, None, Silent()).head("0").weight for c in configs)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_equal_stripes_have_the_same_means_in_one_operation(parts: int) -> None:
    grid = torch.randn(2, 5, 12, 4, dtype=torch.float64)
    found = equal_stripe_means(grid, parts)
    torch.testing.assert_close(found, stripe_means(grid, parts))
    assert len(found) == parts
