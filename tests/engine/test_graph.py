"""Steps replayed from a graph against steps taken kernel by kernel."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pplr_cli.config.fields import Loss, Optim
from pplr_cli.engine import graph
from pplr_cli.engine.graph import WARM_UP, Steps
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.engine.prototypes import Proxies
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch
from tests.shared_reporter import Recorder

CPU = torch.device("cpu")
EPOCHS = ((0, 4), (5, 6))
"""Epoch and clusters of the two epochs that are trained, the later one with smoothing."""
STEPS = WARM_UP + 3
BATCH = 8

Replay = tuple[Tensor, Callable[[], None]]


def fake_record(network: Network, compute: Callable[[], Tensor], device: torch.device) -> Replay:
    """Do what a CUDA graph does: nothing at first, then `compute` over what is there."""
    result = torch.empty(0, device=device)

    def replay() -> None:
        network.zero_grad()
        values = compute()
        result.resize_(values.shape).copy_(values)

    return result, replay


def trained(
    network: Network, runtime: Runtime, *, by_graph: bool, with_cameras: bool
) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """Return the weights and the losses of two short epochs."""
    device = runtime.device
    network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    set_replicas(network, 2)
    optimizer = build_optimizer(network, Optim(lr=1e-3))
    method = PPLR(network, optimizer, Loss(), with_cameras=with_cameras)
    steps = Steps(network, optimizer, method, runtime)
    steps._by_graph = by_graph
    generator = torch.Generator().manual_seed(0)
    losses = []
    for epoch, method.clusters in EPOCHS:
        if with_cameras:
            method.proxies = proxies(method.clusters, network.feature_size, device)
        steps.begin_epoch(epoch)
        for _ in range(STEPS):
            images, targets = batch(method.clusters, generator, device)
            losses.append(steps.take(images, targets, Stopwatch()))
        steps.release()
        kept = any(parameter.grad is not None for parameter in network.parameters())
        assert kept != steps._by_graph
    return network.state_dict(), losses


def batch(
    clusters: int, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Targets]:
    images = torch.randn(BATCH, 3, 32, 16, generator=generator)
    labels = torch.arange(BATCH) % clusters
    agreement = torch.rand(BATCH, 3, generator=generator)
    cameras = torch.randint(0, 3, (BATCH,), generator=generator)
    images = images.contiguous(memory_format=torch.channels_last).to(device)
    return images, Targets(*(t.to(device) for t in (labels, agreement, cameras)))


def proxies(clusters: int, size: int, device: torch.device) -> Proxies:
    generator = torch.Generator().manual_seed(clusters)
    features = torch.nn.functional.normalize(
        torch.randn(4, 2 * clusters, size, generator=generator), dim=2
    )
    numbers = torch.arange(2 * clusters)
    return Proxies(*(t.to(device) for t in (features, numbers // 2, numbers % 2)))


@pytest.mark.parametrize("with_cameras", [False, True])
def test_replayed_steps_are_those_taken_eagerly(
    with_cameras: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[None] = []

    network = Network("tiny", classes=8)
    expected = trained(copy.deepcopy(network), Runtime(), by_graph=False, with_cameras=with_cameras)

    def counted(*arguments: Any) -> Replay:
        recorded.append(None)
        return fake_record(network, *arguments)

    monkeypatch.setattr(graph, "record", counted)
    found = trained(network, Runtime(), by_graph=True, with_cameras=with_cameras)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert len(recorded) == len(EPOCHS)  # C and the proxies change


def test_a_graph_that_cannot_be_recorded_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(graph, "record", fails)
    network, heard = Network("tiny", classes=8), Recorder()
    runtime = Runtime(reporter=heard)
    found = trained(copy.deepcopy(network), runtime, by_graph=True, with_cameras=False)
    expected = trained(network, Runtime(), by_graph=False, with_cameras=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    (warning,) = heard.warnings
    assert warning.startswith("no CUDA graph could be recorded (operation not permitted when")
    assert "more" not in warning


def test_graphs_are_for_one_process_with_a_gpu() -> None:
    network = Network("tiny", classes=8)
    optimizer = build_optimizer(network, Optim())
    method = PPLR(network, optimizer, Loss(), with_cameras=False)
    assert Steps(network, optimizer, method, Runtime(torch.device("cuda", 0)))._by_graph
    assert not Steps(network, optimizer, method, Runtime())._by_graph


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("with_cameras", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cuda_graph_takes_the_steps(precision: Any, with_cameras: bool) -> None:
    heard, network = Recorder(), Network("tiny", classes=8)
    runtime = Runtime(torch.device("cuda", 0), heard, precision)
    weights, losses = trained(
        copy.deepcopy(network), runtime, by_graph=True, with_cameras=with_cameras
    )
    expected, expected_losses = trained(network, runtime, by_graph=False, with_cameras=with_cameras)
    assert heard.warnings == []
    tolerance = 2e-2 if precision == "fp32" else 5e-2  # TF32, and Adam amplifies rounding
    torch.testing.assert_close(losses, expected_losses, rtol=tolerance, atol=tolerance)
    for name, weight in expected.items():
        error = (weights[name].double() - weight.double()).norm() / weight.double().norm().clamp(1)
        assert error < tolerance, name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_deterministic_algorithms_give_the_same_bits() -> None:
    network, runtime = Network("tiny", classes=8), Runtime(torch.device("cuda", 0))
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        first, second = (
            trained(copy.deepcopy(network), runtime, by_graph=True, with_cameras=True)
            for _ in range(2)
        )
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
