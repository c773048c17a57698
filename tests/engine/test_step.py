"""Two steps of the trainer against the official code: both modes, both epochs, both replicas."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config.fields import Loss, Optim
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.engine.prototypes import Proxies
from pplr_cli.engine.replicas import Form, set_replicas
from pplr_cli.engine.step import train_step
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

LONG = pytest.mark.long
CASES = [
    f"cam={camera} epoch={epoch} replicas={replicas}"
    for camera in (False, True)
    for epoch in (0, 5)
    for replicas in (1, 4)
]
NAMES = {
    "gce": "loss_refinement",
    "tri": "loss_triplet",
    "pce": "loss_part",
    "gcam": "loss_camera",
    "pcam": "loss_camera_part",
    "total": "loss_total",
}
SETTINGS = Loss(beta=0.5, camera_weight=0.5, camera_temperature=0.07, camera_negatives=20)
CLUSTERS = 12


@pytest.fixture
def batch(golden_rng: Callable[[str], np.random.Generator]) -> tuple[Targets, Proxies]:
    """What a step needs besides images, drawn in the order that the golden README gives."""
    rng = golden_rng("step")
    cameras = rng.integers(0, 4, 16)
    agreement = rng.random((16, 3)).astype(np.float32)
    proxy_cameras = rng.integers(0, 4, 3 * CLUSTERS)
    features = np.stack(
        [rng.standard_normal((3 * CLUSTERS, 2048)).astype(np.float32) for _ in range(4)]
    )
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    labels = torch.tensor([3, 7, 0, 11]).repeat_interleave(4)
    targets = Targets(labels, torch.from_numpy(agreement), torch.from_numpy(cameras))
    clusters = torch.arange(CLUSTERS).repeat_interleave(3)
    return targets, Proxies(torch.from_numpy(features), clusters, torch.from_numpy(proxy_cameras))


def method_of(network: Network, optimizer: torch.optim.Optimizer, proxies: Proxies | None) -> PPLR:
    """Return the method in an epoch with `CLUSTERS` clusters and these proxies."""
    method = PPLR(network, optimizer, SETTINGS, with_cameras=proxies is not None)
    method.clusters, method.proxies = CLUSTERS, proxies
    return method


@pytest.mark.parametrize(
    "case",
    # four of them have every pair of values
    [case if n in {0, 3, 5, 6} else pytest.param(case, marks=LONG) for n, case in enumerate(CASES)],
)
def test_steps_are_the_official_ones(
    case: str,
    golden_network: Network,
    golden_images: torch.Tensor,
    batch: tuple[Targets, Proxies],
    golden_dir: Path,
) -> None:
    targets, proxies = batch
    camera, epoch, replicas = re.fullmatch(r"cam=(\w+) epoch=(\d+) replicas=(\d+)", case).groups()  # type: ignore[union-attr]
    steps = json.loads((golden_dir / "train_step.json").read_text())[case]
    network = golden_network.train()
    set_replicas(network, int(replicas))
    optimizer = build_optimizer(network, Optim())
    method = method_of(network, optimizer, proxies if camera == "True" else None)
    for number, expected in enumerate(steps):
        values = train_step(
            network, optimizer, method, golden_images, targets, int(epoch), Runtime()
        )
        compare(values, network, expected, first=number == 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    ("case", "form"), [(CASES[0], "chunks"), (CASES[7], "chunks"), (CASES[7], "fused")]
)
def test_steps_on_a_gpu_are_the_official_ones(
    case: str,
    form: Form,
    golden_network: Network,
    golden_images: torch.Tensor,
    batch: tuple[Targets, Proxies],
    golden_dir: Path,
) -> None:
    device = torch.device("cuda", 0)
    targets, proxies = (type(v)(*(t.to(device) for t in v)) for v in batch)
    steps = json.loads((golden_dir / "train_step.json").read_text())[case]
    network = golden_network.to(device, memory_format=torch.channels_last).train()
    set_replicas(network, 4 if "replicas=4" in case else 1, form)
    optimizer = build_optimizer(network, Optim())
    method = method_of(network, optimizer, proxies if "cam=True" in case else None)
    images = golden_images.to(device, memory_format=torch.channels_last)
    epoch, runtime = 5 if "epoch=5" in case else 0, Runtime(device)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for number, expected in enumerate(steps):
            values = train_step(network, optimizer, method, images, targets, epoch, runtime)
            compare(values, network, expected, first=number == 0)


def test_the_calls_of_a_step_are_timed() -> None:
    network, watch = Network("tiny", classes=CLUSTERS), Stopwatch()
    optimizer = build_optimizer(network.train(), Optim())
    method = method_of(network, optimizer, None)
    targets = Targets(torch.arange(4) // 2, torch.rand(4, 3), torch.zeros(4, dtype=torch.int64))
    images = torch.randn(4, 3, 32, 16)
    losses = train_step(network, optimizer, method, images, targets, 0, Runtime(), watch)
    assert list(watch.seconds) == ["train_network", "train_losses", "train_update"]
    assert not any(loss.requires_grad for loss in losses.values())


def compare(
    values: dict[str, torch.Tensor], network: Network, expected: dict[str, Any], *, first: bool
) -> None:
    found = {name: values[ours].item() for name, ours in NAMES.items() if ours in values}
    losses = {name: expected[name] for name in found}
    assert set(expected) - {"grad_norm", "running"} == set(found)
    assert found == pytest.approx(losses, rel=1e-4 if first else 5e-2)
    state = network.state_dict()
    for name, statistics in expected["running"].items():
        ours = [state[name].mean().item(), state[name].norm().item()]
        assert ours == pytest.approx(statistics, rel=1e-5 if first else 1e-3), name
    if first:
        norms = {n: network.get_parameter(n).grad.norm().item() for n in expected["grad_norm"]}  # type: ignore[union-attr]
        assert norms == pytest.approx(expected["grad_norm"], rel=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_on_a_gpu_waits_for_nothing(
    precision: str, golden_images: torch.Tensor, batch: tuple[Targets, Proxies]
) -> None:
    device = torch.device("cuda", 0)
    runtime = Runtime(device, precision=precision)  # type: ignore[arg-type]
    images = golden_images.to(device, memory_format=torch.channels_last)
    targets, proxies = (type(v)(*(t.to(device) for t in v)) for v in batch)
    network = Network("resnet50").to(device, memory_format=torch.channels_last).train()
    set_replicas(network, 4)
    optimizer = build_optimizer(network, Optim())
    method = method_of(network, optimizer, proxies)
    for mode in ("default", "error"):  # the first step sets things up
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for epoch in (0, 5):
                losses = train_step(network, optimizer, method, images, targets, epoch, runtime)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert losses["loss_total"].isfinite()
