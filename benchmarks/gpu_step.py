"""Part `step` of `benchmarks.gpu`: a training step, its kernels, and the choices made for it.

Every variant is the step that training takes: sampled rows, augmentation, forward, losses,
backward, Adam. What differs is in its name: precision (`fp32` without TF32, `tf32` = what
`--precision fp32` does, `bf16`), replicas, `graph` or `eager`, and what is not the default: the
form of the BatchNorm, and cuDNN trying its algorithms.
"""

import copy
import functools
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.gpu_profile import ceilings, operations, profiled, timed, waiting_lines
from benchmarks.gpu_report import Part
from pplr_cli.config.fields import Batch, Config, Data, Loss, Model, Optim
from pplr_cli.data.augment import normalise
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import Batches, TrainingImages
from pplr_cli.engine.graph import WARM_UP, Steps
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR
from pplr_cli.engine.replicas import Form, set_replicas
from pplr_cli.engine.step import compute_gradients
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

EPOCH = 5
"""The epoch of the steps: label smoothing by agreement has begun."""


class Size(NamedTuple):
    """What is trained: backbone, image size, batch, clusters, images, timed steps."""

    backbone: Any = "resnet50"
    height: int = 384
    width: int = 128
    batch: int = 64
    clusters: int = 751
    images: int = 4096
    steps: int = 10
    matrix: int = 8192


TINY = Size("tiny", 32, 16, 8, 6, 20, 2, 64)


class Variant(NamedTuple):
    """One way to take a step."""

    precision: str
    replicas: int
    mode: str
    form: Form | None = None
    search: bool = False
    """Whether cuDNN tries its algorithms (`cudnn.benchmark`)."""

    def __str__(self) -> str:
        parts = [self.precision, f"{self.replicas} replicas", self.mode, self.form]
        return ", ".join(filter(None, [*parts, "cudnn.benchmark" if self.search else None]))


VARIANTS = (
    Variant("bf16", 1, "eager"),
    Variant("bf16", 4, "eager"),
    Variant("bf16", 1, "graph"),
    Variant("bf16", 1, "graph", "fused"),
    Variant("bf16", 4, "graph"),
    Variant("bf16", 4, "graph", search=True),
    Variant("tf32", 1, "graph"),
    Variant("tf32", 1, "graph", "fused"),
    Variant("tf32", 4, "graph"),
    Variant("tf32", 4, "graph", search=True),
    Variant("tf32", 4, "graph", "chunks"),
    Variant("bf16", 4, "graph", "chunks"),
    Variant("tf32", 1, "eager"),
    Variant("tf32", 4, "eager"),
    Variant("fp32", 4, "graph"),
)
PROFILED = (VARIANTS[1], VARIANTS[13])
FEW = (VARIANTS[1], VARIANTS[2])


def measure(part: Part) -> None:
    """Measure ceilings, every variant, the dearest kernels and what waits inside a step."""
    size = TINY if part.tiny else Size()
    bench = Bench(size, part.device)
    with part.guarded("ceilings"):
        bench.peaks = ceilings(part.device, size.matrix)
        part.row(what="ceilings, TFLOP/s and TB/s", **bench.peaks)
        part.row(what="TFLOP of a step", tflop=bench.work / 1e12)
    for variant in FEW if part.tiny else VARIANTS:
        with part.guarded(str(variant), needs=2.0) as fits, precision_flags(variant):
            if fits:
                one(part, bench, variant)
    with part.guarded("extraction"):
        extraction(part, bench)
    with part.guarded("waits"):
        waits(part, bench)


def one(part: Part, bench: "Bench", variant: Variant) -> None:
    """Measure one variant and add its rows.

    `rest_percent` is what a step takes besides forward, losses and backward.
    """
    if bench.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(part.device)
    start = time.perf_counter()
    worker = Worker(bench, variant)
    for _ in range(WARM_UP + 2):
        worker.step()
    part.wait()
    ready = time.perf_counter() - start
    whole, host = zip(*(timed(part, worker.step, bench.size.steps) for _ in range(3)), strict=True)
    inner = median(timed(part, worker.gradients, bench.size.steps)[0] for _ in range(3))
    memory = torch.cuda.max_memory_reserved(part.device) / 1e9 if bench.on_gpu else 0.0
    seconds, peak = median(whole), bench.peaks.get(variant.precision, 0.0)
    kernels, busy, dearest = (0, 0.0, [])
    if variant.mode == "eager":  # a graph's kernels are the same
        kernels, busy, dearest = profiled(part, worker.step)
    part.row(
        what=str(variant), ms=1e3 * seconds, images_s=bench.size.batch / seconds,
        host_ms=1e3 * median(host), gpu_ms=busy, rest_percent=100 * (1 - inner / seconds),
        peak_percent=100 * bench.work / seconds / 1e12 / peak if peak else 0.0,
        kernels=kernels, memory_gb=memory, ready_s=ready,
    )  # fmt: skip
    if variant in PROFILED:
        for name, count, milliseconds in dearest:
            part.row(kernel=name, of=str(variant), count=count, ms=milliseconds)


def extraction(part: Part, bench: "Bench") -> None:
    """Measure how many images a second features are extracted from."""
    batch = 2 * bench.size.batch
    variant = Variant("tf32", 1, "eager")
    worker = Worker(bench, variant)
    worker.network.eval()

    def embed() -> None:
        with torch.no_grad():
            worker.network.embed(normalise(bench.store.take(slice(0, batch))))

    with precision_flags(variant):
        embed()
        seconds = median(timed(part, embed, bench.size.steps)[0] for _ in range(3))
    part.row(what=f"extraction, tf32, batch {batch}", images_s=batch / seconds)


def waits(part: Part, bench: "Bench") -> None:
    """Name the lines at which a step waits for the GPU, for images there and on the host."""
    batches = {"images on the GPU": bench.batches}
    if bench.on_gpu:
        store = ImageStore(bench.pixels[:64], torch.device("cpu"))
        store._device = bench.device  # as where the images do not fit
        batches["images on the host"] = bench.made_batches(store)
    for name, each in batches.items():
        for mode in ("eager", "graph"):
            worker = Worker(bench, Variant("bf16", 4, mode))
            for _ in range(WARM_UP + 2):
                worker.step(each)
            found = waiting_lines(part, functools.partial(worker.step, each))
            part.row(what=f"waits in a step, {mode}, {name}", count=len(found), lines=found)


class Bench:
    """What all variants share: starting weights, random images, labels and agreement."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self.size, self.device = size, device
        self.on_gpu = device.type == "cuda"
        self.peaks: dict[str, float] = {}
        self.rng = np.random.default_rng(0)
        shape = (size.images, size.height, size.width, 3)
        self.pixels = self.rng.integers(0, 256, shape, np.uint8)
        self.store = ImageStore(self.pixels, device)
        self.batches = self.made_batches(self.store)
        torch.manual_seed(0)
        self.network = Network(size.backbone, classes=3000 if size.clusters > 100 else 10)
        images = (size.batch, 3, size.height, size.width)
        self.work = operations(size.backbone, images, size.clusters)

    def made_batches(self, store: ImageStore) -> Batches:
        """Return the batches of an epoch over some images, with random labels."""
        size, images = self.size, len(store)
        labels = np.arange(images) % min(size.clusters, images // 2)
        pseudo = PseudoLabels(labels, self.rng.random((images, 3), np.float32))
        config = Config(
            data=Data(name="bench", height=size.height, width=size.width),
            model=Model(backbone=size.backbone, weights="random"),
            batch=Batch(size=size.batch),
        )
        known = TrainingImages(store, np.zeros(images, np.int64), tuple(map(str, labels)))
        return Batches(known, pseudo, config, EPOCH, Runtime(self.device))


class Worker:
    """A network and its optimiser, trained in one variant."""

    def __init__(self, bench: Bench, variant: Variant) -> None:
        self.bench = bench
        network = copy.deepcopy(bench.network).train()
        self.network = network.to(bench.device, memory_format=torch.channels_last)
        set_replicas(self.network, variant.replicas, variant.form)
        self.optimizer = build_optimizer(self.network, Optim())
        precision: Any = "bf16" if variant.precision == "bf16" else "fp32"
        self.runtime = Runtime(bench.device, precision=precision)
        self.method = PPLR(self.network, self.optimizer, Loss(), with_cameras=False)
        self.method.clusters = bench.size.clusters
        self.steps = Steps(self.network, self.optimizer, self.method, self.runtime)
        self.steps._by_graph &= variant.mode == "graph"
        self.steps.begin_epoch(EPOCH)
        self.number, self.watch = itertools.count(), Stopwatch()
        self.batch = bench.batches.load(0)

    def step(self, batches: Batches | None = None) -> None:
        """Take one step as the trainer does."""
        batches = batches or self.bench.batches
        self.steps.take(*batches.load(next(self.number) % len(batches)), self.watch)

    def gradients(self) -> None:
        """Compute forward, losses and backward of a batch that stays."""
        if self.steps._graph is not None:
            self.steps._graph.replay(*self.batch)
            return
        self.optimizer.zero_grad()
        given = (self.network, self.method, *self.batch)
        compute_gradients(*given, EPOCH, self.runtime, self.watch)


@contextmanager
def precision_flags(variant: Variant) -> Iterator[None]:
    """Allow TF32 in convolutions unless the variant is `fp32`; choose how cuDNN picks."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=variant.search, allow_tf32=variant.precision != "fp32"
    ):
        yield
