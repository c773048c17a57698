"""The method object: classifiers and proxies of an epoch, its losses, its state."""

import numpy as np
import pytest
import torch

from pplr_cli.config.fields import Loss, Optim
from pplr_cli.distributed.processes import Processes
from pplr_cli.engine.network import Network, Output
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.labelling.pseudo_labels import PseudoLabels

PSEUDO = PseudoLabels(np.array([0, 0, -1, 1, 1, 1]), np.ones((6, 3), np.float32))
CAMERAS = np.array([0, 1, 1, 0, 0, 2])


class Copying(Processes):
    """A process that notes how many tensors it copies from the first."""

    copied = 0

    def copy_from_first(self, tensors) -> None:  # type: ignore[no-untyped-def]
        self.copied += len(list(tensors))


def new_method(
    *, with_cameras: bool, processes: Processes | None = None, settings: Loss | None = None
) -> tuple[PPLR, Network]:
    network = Network("tiny", classes=4)
    optimizer = build_optimizer(network, Optim())
    processes = processes or Processes()
    given = settings or Loss()
    method = PPLR(network, optimizer, given, with_cameras=with_cameras, processes=processes)
    return method, network


@pytest.fixture
def features() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(4, 6, 128), dim=2)


def test_classifiers_begin_as_centroids(features: torch.Tensor) -> None:
    method, network = new_method(with_cameras=False)
    untouched = network.head("0").weight[-1].clone()
    method.begin_epoch(features, PSEUDO, CAMERAS)
    for branch, vectors in zip(network.branches, features, strict=True):
        for cluster, members in enumerate(([0, 1], [3, 4, 5])):
            mean = vectors[members].mean(0)
            torch.testing.assert_close(network.head(branch).weight[cluster], mean / mean.norm())
    torch.testing.assert_close(network.head("0").weight[-1], untouched)
    assert method.clusters == 2
    assert method.proxies is None


def test_all_processes_get_the_classifiers_and_proxies_of_the_first(features: torch.Tensor) -> None:
    processes = Copying()
    method, _ = new_method(with_cameras=True, processes=processes)
    method.begin_epoch(features, PSEUDO, CAMERAS)
    assert method.proxies is not None
    assert method.proxies.clusters.tolist() == [0, 0, 1, 1]
    assert method.proxies.cameras.tolist() == [0, 1, 0, 2]
    assert processes.copied == 4 + 3


def random_batch() -> tuple[Output, Targets]:
    output = Output(
        torch.randn(6, 128), torch.randn(6, 128, 3), torch.randn(6, 2), torch.randn(6, 2, 3)
    )
    targets = Targets(torch.tensor([0, 0, 0, 1, 1, 1]), torch.rand(6, 3), torch.from_numpy(CAMERAS))
    return output, targets


@pytest.mark.parametrize("with_cameras", [False, True])
def test_the_total_is_the_weighted_sum(features: torch.Tensor, with_cameras: bool) -> None:
    method, _ = new_method(with_cameras=with_cameras)
    method.begin_epoch(features, PSEUDO, CAMERAS)
    losses = method.losses(*random_batch(), epoch=0)
    assert ("loss_camera" in losses) == with_cameras
    weights = {"loss_camera": 0.5, "loss_camera_part": 0.5}
    parts = sum(weights.get(n, 1.0) * v for n, v in losses.items() if n != "loss_total")
    torch.testing.assert_close(losses["loss_total"], parts)


def test_a_restored_method_computes_the_same_losses(features: torch.Tensor) -> None:
    method, _ = new_method(with_cameras=True)
    method.begin_epoch(features, PSEUDO, CAMERAS)
    other, _ = new_method(with_cameras=True)
    other.load_state_dict(method.state_dict())
    assert other.clusters == method.clusters
    batch = random_batch()
    for epoch in (0, 5):
        assert method.losses(*batch, epoch) == other.losses(*batch, epoch)


def test_camera_entropy_weights_every_loss(features: torch.Tensor) -> None:
    """Two cameras see each cluster twice and once: equal weights; then one sees the first."""
    plain, _ = new_method(with_cameras=True)
    other, _ = new_method(with_cameras=True, settings=Loss(camera_entropy=True))
    for method in (plain, other):
        method.begin_epoch(features, PSEUDO, CAMERAS)
    output, targets = random_batch()
    for epoch in (0, 5):
        for cameras, same in ((CAMERAS, True), (CAMERAS[[0, 0, 0, 3, 4, 5]], False)):
            given = targets._replace(cameras=torch.from_numpy(cameras))
            before, after = (m.losses(output, given, epoch) for m in (plain, other))
            for name in before:
                assert bool(torch.isclose(before[name], after[name])) == same, name
