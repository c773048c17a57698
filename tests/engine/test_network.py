"""The network against the official state dict and the official features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pplr_cli.engine.network import Network, stripes


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
    global_feature, part_features = (each.cpu() for each in features)
    np.testing.assert_allclose(global_feature, golden["global_features"], atol=5e-6, rtol=0)
    np.testing.assert_allclose(
        part_features.permute(1, 2, 0), golden["part_features"], atol=5e-6, rtol=0
    )


@pytest.mark.parametrize("height", [3, 6, 7, 8, 16, 24])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_stripes_pool_like_adaptive_average_pooling(height: int, parts: int) -> None:
    grid = torch.randn(2, 5, height, 4)
    pooled = torch.stack([s.mean((2, 3)) for s in stripes(grid, parts)], 2)
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
