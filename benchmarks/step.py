"""Where the time of a training step goes, and what replicas and bf16 change.

    python -m benchmarks.step --rounds 3
    python -m benchmarks.step --device cuda --rounds 20 --precision fp32 bf16

Variants take turns. Each is timed as a whole and, on its own step, part by part; on a GPU the parts
are waited for, so they add up to more than the whole.
"""

import argparse
import time
from collections import defaultdict
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.tools import resident
from pplr_cli import host
from pplr_cli.config.fields import Loss, Optim
from pplr_cli.data.augment import augment, draw_choices
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.network import Network
from pplr_cli.engine.objective import Targets, objective
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.runtime import Runtime, choose_device

NETWORK = ("forward", "backward")
CLUSTERS = 600
STEPS_TOGETHER = 10
"""Steps timed as one on a GPU, so that it is given work ahead, as in training."""


class Variant(NamedTuple):
    """What differs between the steps compared."""

    replicas: int
    precision: str

    def __str__(self) -> str:
        return f"{self.replicas} replicas, {self.precision}"


class Laps:
    """Seconds of the parts of steps; `apart` waits for the device after each of them."""

    def __init__(self, device: torch.device, *, apart: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._wait = torch.cuda.synchronize if device.type == "cuda" and apart else lambda: None
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """Add the time since the last lap to a part."""
        self._wait()
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


class Bench:
    """A network, its optimiser and made-up images, labels and agreement."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = choose_device(options.device)
        rng = np.random.default_rng(0)
        shape = (options.images, options.height, options.width, 3)
        self.store = ImageStore(rng.integers(0, 256, shape, np.uint8), self.device)
        labels = rng.integers(0, CLUSTERS, options.images)
        values = (labels, rng.random((options.images, 3), np.float32), np.zeros_like(labels))
        self.targets = Targets(*(torch.from_numpy(v).to(self.device) for v in values))
        network = Network(options.backbone).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.optimizer = build_optimizer(network, Optim())
        self.steps = 0

    def step(self, variant: Variant, laps: Laps) -> None:
        """Take one step as the trainer does."""
        height, width = self.options.height, self.options.width
        self.steps += 1
        rng = np.random.default_rng(self.steps)
        rows = torch.from_numpy(rng.integers(0, len(self.store), self.options.batch))
        laps.lap("sampling")
        pixels = self.store.take(rows)
        laps.lap("taking the pixels")
        choices = draw_choices(len(rows), height, width, seed=0, epoch=0, step=self.steps)
        images = augment(pixels, choices)
        laps.lap("augmentation")
        there = rows.to(self.device, non_blocking=True)
        targets = Targets(*(values[there] for values in self.targets))
        laps.lap("targets")
        with Runtime(self.device, precision=variant.precision).autocast():
            output = self.network(images, CLUSTERS)
        laps.lap("forward")
        losses = objective(output, targets, 5, Loss())
        laps.lap("losses")
        self.optimizer.zero_grad()
        losses["loss_total"].backward()
        laps.lap("backward")
        self.optimizer.step()
        laps.lap("optimiser")

    def timed(self, variant: Variant, *, apart: bool) -> dict[str, float]:
        """Return the seconds of a step, by part, and as a whole under the empty name."""
        set_replicas(self.network, variant.replicas)
        together = STEPS_TOGETHER if self.device.type == "cuda" and not apart else 1
        self.wait()
        laps = Laps(self.device, apart=apart)
        start = time.perf_counter()
        for _ in range(together):
            self.step(variant, laps)
        self.wait()
        return laps.seconds | {"": (time.perf_counter() - start) / together}

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    options = arguments()
    if options.device == "cpu" and options.keep:
        host.keep_freed_memory()
    bench = Bench(options)
    variants = [Variant(r, p) for p in options.precision for r in options.replicas]
    for variant in variants:
        bench.timed(variant, apart=False)  # the first step of a kind is slower
    found: dict[Variant, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for variant in variants:
            whole = bench.timed(variant, apart=False)
            on_gpu = bench.device.type == "cuda"
            parts = bench.timed(variant, apart=True) if on_gpu else whole
            found[variant].append(parts | {"": whole[""]})
    report(found, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--images", type=int, default=2000, help="N, where batches come from")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--no-keep", dest="keep", action="store_false", help="give freed memory back (CPU)"
    )
    return parser.parse_args()


def report(found: dict[Variant, list[dict[str, float]]], options: argparse.Namespace) -> None:
    size = f"{options.height} x {options.width}, batch {options.batch}"
    print(
        f"{options.backbone}, {size}, {options.device}, {torch.get_num_threads()} threads, medians"
    )
    for variant, rounds in found.items():
        print(f"{variant}: {1e3 * median(r[''] for r in rounds):.1f} ms a step")
        total = median(all_parts(r) for r in rounds)
        for part in [name for name in rounds[0] if name]:
            seconds = median(r[part] for r in rounds)
            print(f"  {part:20} {1e3 * seconds:9.1f} ms {100 * seconds / total:6.2f} %")
        share = median(1 - sum(r[part] for part in NETWORK) / all_parts(r) for r in rounds)
        print(f"  all but forward and backward: {100 * share:.2f} %")
    first, *others = found
    for other in others:
        pairs = zip(found[first], found[other], strict=True)
        ratios = sorted(b[""] / a[""] for a, b in pairs)
        low, middle, high = (100 * (r - 1) for r in (ratios[0], median(ratios), ratios[-1]))
        print(f"{other} against {first}: {middle:+.1f} % ({low:+.1f} to {high:+.1f})")
    print(f"peak memory {resident():.2f} GB")
    if options.device.startswith("cuda"):
        print(f"peak on the GPU {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


def all_parts(seconds: dict[str, float]) -> float:
    return sum(value for part, value in seconds.items() if part)


if __name__ == "__main__":
    main()
