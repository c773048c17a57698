"""Each loss alone: official values and gradients, and the corner cases they do not cover."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pplr_cli.engine import losses
from pplr_cli.engine.prototypes import Proxies

Golden = dict[str, Tensor]


@pytest.fixture(scope="module")
def golden(golden_dir: Path, device: torch.device) -> Golden:
    with np.load(golden_dir / "losses.npz") as file:
        return {name: torch.from_numpy(np.asarray(file[name])).to(device) for name in file.files}


def expect(golden: Golden, name: str, source: str, loss: Callable[[Tensor], Tensor]) -> None:
    """Compare value and gradient with the golden ones."""
    inputs = golden[source].clone().requires_grad_()
    value = loss(inputs)
    (gradient,) = torch.autograd.grad(value, inputs)
    torch.testing.assert_close(value.double(), golden[name].double(), rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, golden[f"{name}_grad0"], rtol=0, atol=1e-6)


def test_label_refinement(golden: Golden) -> None:
    found = [n for n in golden if n.startswith("pglr_beta") and not n.endswith("_grad0")]
    assert found
    for name in found:
        beta = float(name.removeprefix("pglr_beta"))
        expect(
            golden,
            name,
            "logits_global",
            lambda logits, beta=beta: losses.label_refinement(
                logits, golden["logits_part"], golden["targets"], golden["agreement"], beta
            ),
        )


def test_agreement_aware_smoothing(golden: Golden) -> None:
    for part in range(golden["logits_part"].shape[2]):
        one = slice(part, part + 1)
        expect(
            golden,
            f"aals_part{part}",
            "logits_part",
            lambda logits, one=one: losses.agreement_aware_smoothing(
                logits[:, :, one], golden["targets"], golden["agreement"][:, one]
            ),
        )


def test_smooth_cross_entropy(golden: Golden) -> None:
    expect(
        golden,
        "smooth_ce",
        "logits_global",
        lambda logits: losses.smooth_cross_entropy(logits[:, :, None], golden["targets"], 0.1),
    )


def test_soft_triplet(golden: Golden) -> None:
    expect(
        golden,
        "soft_triplet",
        "embeddings",
        lambda features: losses.soft_triplet(features, golden["targets"]),
    )


def test_inter_camera(golden: Golden) -> None:
    proxies = Proxies(golden["proxies"][None], golden["proxy_pids"], golden["proxy_cams"])
    found = [n for n in golden if n.startswith("intercam_hard") and not n.endswith("_grad0")]
    assert found
    for name in found:
        hard = int(name.removeprefix("intercam_hard"))
        expect(
            golden,
            name,
            "embeddings",
            lambda features, hard=hard: losses.inter_camera(
                features, golden["targets"], golden["cams"], proxies, 0, 0.07, hard
            ),
        )


def slow_inter_camera(
    features: Tensor, labels: list[int], cameras: list[int], proxies: Proxies, negatives: int
) -> float:
    total = 0.0
    for feature, label, camera in zip(features, labels, cameras, strict=True):
        similarity = (feature / feature.norm()) @ proxies.features[0].T / 0.07
        pairs = list(zip(proxies.clusters.tolist(), proxies.cameras.tolist(), strict=True))
        positive = [i for i, (c, cam) in enumerate(pairs) if c == label and cam != camera]
        rivals = sorted((float(similarity[i]) for i, (c, _) in enumerate(pairs) if c != label))
        chosen = [float(similarity[i]) for i in positive] + rivals[-negatives:]
        if positive:
            log_total = float(torch.tensor(chosen, dtype=torch.double).logsumexp(0))
            total += sum(log_total - float(similarity[i]) for i in positive) / len(positive)
    return total / len(features)


@pytest.mark.parametrize("negatives", [1, 3, 50])
def test_images_without_positives_are_skipped(negatives: int) -> None:
    clusters, cameras = [0, 0, 1, 2, 2], [0, 1, 0, 0, 2]
    unit = torch.nn.functional.normalize(torch.randn(1, 5, 8), dim=2)
    proxies = Proxies(unit, torch.tensor(clusters), torch.tensor(cameras))
    labels, seen_by = [0, 1, 1, 2], [0, 0, 3, 2]  # the second has no proxy of another camera
    features = torch.randn(4, 8, requires_grad=True)
    value = losses.inter_camera(
        features, torch.tensor(labels), torch.tensor(seen_by), proxies, 0, 0.07, negatives
    )
    value.backward()
    expected = slow_inter_camera(features.detach(), labels, seen_by, proxies, negatives)
    assert value.item() == pytest.approx(expected, rel=1e-4)
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert (features.grad[1] == 0).all()


def test_triplet_of_equal_images_has_a_finite_gradient() -> None:
    features = torch.ones(4, 3, requires_grad=True)
    losses.soft_triplet(features, torch.tensor([0, 0, 1, 1])).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
