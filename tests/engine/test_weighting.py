"""Camera-informed weights against the formula, cluster by cluster."""

import math
from collections import Counter

import pytest
import torch

from pplr_cli.engine import losses
from pplr_cli.engine.prototypes import Proxies
from pplr_cli.engine.weighting import camera_weights


def slow(labels: list[int], cameras: list[int]) -> list[float]:
    """Return the weights by the definition of 3C."""
    weight = {}
    for cluster in set(labels):
        seen = Counter(c for label, c in zip(labels, cameras, strict=True) if label == cluster)
        shares = [count / seen.total() for count in seen.values()]
        weight[cluster] = math.exp(-sum(share * math.log2(share) for share in shares))
    mean = sum(weight.values()) / len(weight)
    return [weight[label] / mean for label in labels]


@pytest.mark.parametrize("seed", range(4))
def test_weights_follow_the_definition(seed: int, device: torch.device) -> None:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 7, (24,), generator=random)
    cameras = torch.randint(0, 3, (24,), generator=random)
    found = camera_weights(labels.to(device), cameras.to(device)).cpu()
    expected = torch.tensor(slow(labels.tolist(), cameras.tolist()))
    torch.testing.assert_close(found, expected)


def test_one_camera_changes_nothing() -> None:
    labels = torch.tensor([3, 3, 1, 1, 1])
    torch.testing.assert_close(camera_weights(labels, torch.zeros_like(labels)), torch.ones(5))


def test_every_loss_weights_its_images() -> None:
    """A loss of a batch is linear in the weights of its images, and 1 changes nothing."""
    torch.manual_seed(0)
    labels, cameras = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 0, 0, 1, 2])
    logits, parts = torch.randn(6, 3), torch.randn(6, 3, 2)
    features, agreement = torch.randn(6, 8), torch.rand(6, 2)
    proxies = Proxies(torch.randn(1, 5, 8), torch.tensor([0, 0, 1, 2, 2]), torch.arange(5) % 3)
    functions = {
        "refinement": lambda w: losses.label_refinement(logits, parts, labels, agreement, 0.5, w),
        "smoothing": lambda w: losses.agreement_aware_smoothing(parts, labels, agreement, w),
        "entropy": lambda w: losses.smooth_cross_entropy(parts, labels, 0.1, w),
        "triplet": lambda w: losses.soft_triplet(features, labels, w),
        "camera": lambda w: losses.inter_camera(features, labels, cameras, proxies, 0, 0.07, 2, w),
    }
    weights = torch.rand(6)
    for name, loss in functions.items():
        each = torch.stack([loss(row) for row in torch.eye(6)])
        torch.testing.assert_close(loss(weights), weights @ each, msg=name)
        torch.testing.assert_close(loss(torch.ones(6)), loss(None), msg=name)
