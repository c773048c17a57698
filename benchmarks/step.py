"""Time the parts of a training step, with replicas and precisions compared.

    python -m benchmarks.step --rounds 3
    python -m benchmarks.step --device cuda --rounds 20 --precision fp32 bf16

Variants alternate. Each is timed in total and, in a separate step, part by part. On a GPU each part
synchronises, so the parts add up to more than the total.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.tools import chosen_device, resident
from pplr_cli import host
from pplr_cli.config.fields import Batch, Config, Data, Loss, Model, Optim, Precision
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import Batches, TrainingImages
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.engine.step import train_step
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

NETWORK = ("train_network", "train_backward")
CLUSTERS = 600
STEPS_TOGETHER = 10
"""Steps timed together on a GPU, so that it has work queued, as in training."""


class Variant(NamedTuple):
    """What differs between the steps compared."""

    replicas: int
    precision: Precision

    def __str__(self) -> str:
        return f"{self.replicas} replicas, {self.precision}"


class Watch(Stopwatch):
    """Seconds of the calls of steps; `apart` waits for the GPU after each of them."""

    def __init__(self, device: torch.device, *, apart: bool) -> None:
        super().__init__()
        self.wait = torch.cuda.synchronize if device.type == "cuda" and apart else lambda: None

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        with super().timing(stage):
            yield
            self.wait()


class Bench:
    """A network, its optimiser, and batches of random images, labels and agreement."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = chosen_device(options.device)
        rng = np.random.default_rng(0)
        shape = (options.images, options.height, options.width, 3)
        store = ImageStore(rng.integers(0, 256, shape, np.uint8), self.device)
        labels = np.arange(options.images) % min(CLUSTERS, options.images // 2)
        pseudo = PseudoLabels(labels, rng.random((options.images, 3), np.float32))
        config = Config(
            data=Data(name="bench", height=options.height, width=options.width),
            model=Model(backbone=options.backbone, weights="random"),
            batch=Batch(size=options.batch, replicas=1),
        )
        images = TrainingImages(store, np.zeros_like(labels), tuple(map(str, labels)))
        self.batches = Batches(images, pseudo, config, 0, Runtime(self.device))
        network = Network(options.backbone).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.optimizer = build_optimizer(network, Optim())
        self.method = PPLR(network, self.optimizer, Loss(), with_cameras=False)
        self.method.clusters = pseudo.clusters
        self.steps = 0

    def step(self, runtime: Runtime, watch: Watch) -> None:
        """Take one step as the trainer does."""
        self.steps += 1
        with watch.timing("train_data"):
            images, targets = self.batches.load(self.steps % len(self.batches))
        train_step(self.network, self.optimizer, self.method, images, targets, 5, runtime, watch)

    def timed(self, variant: Variant, *, apart: bool) -> dict[str, float]:
        """Return the seconds of a step, by part, and in total under the empty name."""
        set_replicas(self.network, variant.replicas)
        runtime = Runtime(self.device, precision=variant.precision)
        together = STEPS_TOGETHER if self.device.type == "cuda" and not apart else 1
        watch = Watch(self.device, apart=apart)
        self.wait()
        with self.optimizer_timed(watch):
            start = time.perf_counter()
            for _ in range(together):
                self.step(runtime, watch)
            self.wait()
        seconds = watch.seconds
        seconds["train_backward"] = seconds.pop("train_update") - seconds["train_optimizer"]
        return seconds | {"": (time.perf_counter() - start) / together}

    @contextmanager
    def optimizer_timed(self, watch: Watch) -> Iterator[None]:
        """Time the optimiser's own part of `train_update`; the rest is the backward pass."""
        original = self.optimizer.step

        def timed() -> None:
            watch.wait()
            with watch.timing("train_optimizer"):
                original()

        self.optimizer.step = timed  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            self.optimizer.step = original  # type: ignore[method-assign]

    def wait(self) -> None:
        """Wait for the GPU."""
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
            total = bench.timed(variant, apart=False)
            on_gpu = bench.device.type == "cuda"
            parts = bench.timed(variant, apart=True) if on_gpu else total
            found[variant].append(parts | {"": total[""]})
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
            name, percent = part.removeprefix("train_"), 100 * seconds / total
            print(f"  {name:20} {1e3 * seconds:9.1f} ms {percent:6.2f} %")
        share = median(1 - sum(r[part] for part in NETWORK) / all_parts(r) for r in rounds)
        print(f"  all but forward and backward: {100 * share:.2f} %")
    first, *others = found
    for other in others:
        pairs = zip(found[first], found[other], strict=True)
        ratios = sorted(b[""] / a[""] for a, b in pairs)
        low, middle, high = (100 * (r - 1) for r in (ratios[0], median(ratios), ratios[-1]))
        print(f"{other} against {first}: {middle:+.1f} % ({low:+.1f} to {high:+.1f})")
    print(f"peak memory {resident():.2f} GB")
    if torch.cuda.is_initialized():
        print(f"peak on the GPU {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


def all_parts(seconds: dict[str, float]) -> float:
    return sum(value for part, value in seconds.items() if part)


if __name__ == "__main__":
    main()
