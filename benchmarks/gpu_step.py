"""Part `step` of `benchmarks.gpu`: a training step, its kernels, and the ways to make it faster.

Every variant is the step that training takes: sampled rows, augmentation, forward, losses,
backward, Adam. What differs is in its name: precision (`fp32` without TF32, `tf32` = what
`--precision fp32` does, `bf16`), replicas, form of the BatchNorm, and mode:

- `eager`: kernel by kernel.
- `graph`: forward, losses and backward replayed as one CUDA graph.
- `compile`: the backbone through `torch.compile`; `compile+graph`: both.
"""

import copy
import functools
import itertools
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_report import Part
from pplr_cli.config.fields import Batch, Config, Data, Loss, Model, Optim
from pplr_cli.data.augment import normalise
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import Batches, TrainingImages
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.engine.replicas import Form, set_replicas
from pplr_cli.engine.step import train_step
from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.runtime import Runtime

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
    form: Form
    mode: str
    search: bool = False
    """Whether cuDNN tries its algorithms (`cudnn.benchmark`)."""

    def __str__(self) -> str:
        parts = [self.precision, f"{self.replicas} replicas", self.form, self.mode]
        return ", ".join([*parts, "cudnn.benchmark"] if self.search else parts)


VARIANTS = (
    Variant("bf16", 1, "chunks", "eager"),
    Variant("bf16", 4, "chunks", "eager"),
    Variant("bf16", 4, "fused", "eager"),
    Variant("bf16", 1, "chunks", "graph"),
    Variant("bf16", 4, "chunks", "graph"),
    Variant("bf16", 4, "fused", "graph"),
    Variant("bf16", 4, "fused", "graph", search=True),
    Variant("tf32", 1, "chunks", "eager"),
    Variant("tf32", 4, "chunks", "eager"),
    Variant("tf32", 1, "chunks", "graph"),
    Variant("tf32", 4, "fused", "graph"),
    Variant("tf32", 4, "fused", "graph", search=True),
    Variant("bf16", 4, "grouped", "compile+graph"),
    Variant("bf16", 4, "grouped", "compile"),
    Variant("bf16", 1, "chunks", "compile+graph"),
    Variant("fp32", 1, "chunks", "eager"),
    Variant("fp32", 4, "chunks", "eager"),
    Variant("fp32", 4, "fused", "graph"),
    Variant("tf32", 4, "grouped", "compile+graph"),
    Variant("tf32", 1, "chunks", "compile+graph"),
    Variant("fp32", 4, "grouped", "compile+graph"),
)
PROFILED = (VARIANTS[1], VARIANTS[2], VARIANTS[8], VARIANTS[13])
FEW = (VARIANTS[1], VARIANTS[5])
COMPILE_SECONDS = 60.0
"""Time that a compilation may take: less left, and the variant is skipped."""


def measure(part: Part) -> None:
    """Measure ceilings, every variant, the dearest kernels and what waits inside a step."""
    size = TINY if part.tiny else Size()
    bench = Bench(size, part.device)
    with part.guarded("ceilings"):
        peaks = ceilings(part.device, size.matrix)
        bench.peaks = peaks
        part.row(what="ceilings, TFLOP/s and TB/s", **peaks)
        part.row(what="TFLOP of a step", tflop=bench.work / 1e12)
    with part.guarded("waits"):
        waits(part, bench)
    with part.guarded("extraction"):
        extraction(part, bench)
    for variant in FEW if part.tiny else VARIANTS:
        needs = COMPILE_SECONDS if "compile" in variant.mode else 0.0
        with part.guarded(str(variant), needs) as fits, precision_flags(variant):
            if fits:
                one(part, bench, variant)


def one(part: Part, bench: "Bench", variant: Variant) -> None:
    """Measure one variant and add its rows."""
    if part.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(part.device)
    start = time.perf_counter()
    worker = Worker(bench, variant)
    for _ in range(3):
        worker.step()
    part.wait()
    ready = time.perf_counter() - start
    whole, host = zip(*(timed(part, worker.step, bench.size.steps) for _ in range(3)), strict=True)
    memory = torch.cuda.max_memory_reserved(part.device) / 1e9 if bench.on_gpu else 0.0
    seconds = median(whole)
    kernels, busy, dearest = (0, 0.0, [])
    if "graph" not in variant.mode:  # a graph's kernels are those of its eager form
        kernels, busy, dearest = profiled(part, worker.step)
    network_only = worker.network_only()
    inner = median(timed(part, network_only, bench.size.steps)[0] for _ in range(3))
    peak = bench.peaks.get(variant.precision, 0.0)
    part.row(
        what=str(variant),
        ms=1e3 * seconds,
        images_s=bench.size.batch / seconds,
        host_ms=1e3 * median(host),
        gpu_ms=busy,
        rest_percent=100 * (1 - inner / seconds),
        peak_percent=100 * bench.work / seconds / 1e12 / peak if peak else 0.0,
        kernels=kernels,
        memory_gb=memory,
        ready_s=ready,
    )
    if variant in PROFILED:
        for name, count, milliseconds in dearest:
            part.row(kernel=name, of=str(variant), count=count, ms=milliseconds)


def extraction(part: Part, bench: "Bench") -> None:
    """Measure how many images a second features are extracted from, in each precision."""
    batch = 2 * bench.size.batch
    for precision in ("tf32", "fp32", "bf16"):
        variant = Variant(precision, 1, "chunks", "eager")
        worker = Worker(bench, variant)
        worker.network.eval()

        def embed(worker: Worker = worker) -> None:
            with torch.no_grad(), worker.runtime.autocast():
                worker.network.embed(normalise(bench.store.take(slice(0, batch))))

        with precision_flags(variant):
            embed()
            seconds = median(timed(part, embed, bench.size.steps)[0] for _ in range(3))
        part.row(what=f"extraction, {precision}, batch {batch}", images_s=batch / seconds)


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
        self.work = operations(size)

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
        self.bench, self.variant = bench, variant
        network = copy.deepcopy(bench.network).train()
        self.network = network.to(bench.device, memory_format=torch.channels_last)
        set_replicas(self.network, variant.replicas, variant.form)
        if "compile" in variant.mode:
            self.network.base.forward = compiled(self.network.base)  # type: ignore[method-assign]
        self.optimizer = build_optimizer(self.network, Optim())
        precision: Any = "bf16" if variant.precision == "bf16" else "fp32"
        self.runtime = Runtime(bench.device, precision=precision)
        self.method = PPLR(self.network, self.optimizer, Loss(), with_cameras=False)
        self.method.clusters = bench.size.clusters
        self.number = itertools.count()
        self.replay: Callable[[Tensor, Targets], Any] | None = None

    def step(self, batches: Batches | None = None) -> None:
        """Take one step; the third one of a graph's variant records the graph."""
        number, batches = next(self.number), batches or self.bench.batches
        images, targets = batches.load(number % len(batches))
        if "graph" in self.variant.mode and number == 2 and self.bench.on_gpu:
            self.replay = recorded(self.compute, self.optimizer, images, targets)
        if self.replay is None:
            given = (self.network, self.optimizer, self.method, images, targets)
            train_step(*given, EPOCH, self.runtime)
        else:
            self.replay(images, targets)
            self.optimizer.step()

    def compute(self, images: Tensor, targets: Targets) -> Tensor:
        """Return the losses of a batch, [L]; leave the gradients in the parameters."""
        with self.runtime.autocast():
            output = self.network(images, self.method.clusters)
        losses = self.method.losses(output, targets, EPOCH)
        losses["loss_total"].backward()
        return torch.stack([value.detach() for value in losses.values()])

    def network_only(self) -> Callable[[], None]:
        """Return forward and backward alone, on a batch that stays, in the variant's mode."""
        images, targets = self.bench.batches.load(0)
        with self.runtime.autocast():
            output = self.network(images, self.bench.size.clusters)
        slopes = [torch.randn_like(tensor) / tensor.numel() for tensor in output]

        def compute(images: Tensor, _: Targets) -> Tensor:
            with self.runtime.autocast():
                output = self.network(images, self.bench.size.clusters)
            torch.autograd.backward(list(output), slopes)
            return output.global_feature.detach()

        def eager() -> None:
            self.network.zero_grad()
            compute(images, targets)

        if "graph" not in self.variant.mode or not self.bench.on_gpu:
            return eager
        eager()
        replay = recorded(compute, self.optimizer, images, targets)

        def once() -> None:
            replay(images, targets)

        return once


def compiled(backbone: nn.Sequential) -> Callable[[Tensor], Tensor]:
    """Return the backbone's forward pass, compiled as one piece."""

    def run(images: Tensor) -> Tensor:
        for layer in backbone:
            images = layer(images)
        return images

    result: Callable[[Tensor], Tensor] = torch.compile(run, dynamic=False)
    return result


def recorded(
    compute: Callable[[Tensor, Targets], Tensor],
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    targets: Targets,
) -> Callable[[Tensor, Targets], Any]:
    """Record `compute` as a CUDA graph on copies of its inputs; return what replays it."""
    own, known = images.clone(), Targets(*(values.clone() for values in targets))
    optimizer.zero_grad()  # the graph makes the gradients, in memory of its own
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        losses = compute(own, known)

    def replay(images: Tensor, targets: Targets) -> Tensor:
        own.copy_(images)
        for kept, values in zip(known, targets, strict=True):
            kept.copy_(values)
        graph.replay()
        return losses.clone()

    return replay


@contextmanager
def precision_flags(variant: Variant) -> Iterator[None]:
    """Allow TF32 in convolutions unless the variant is `fp32`; choose how cuDNN picks."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=variant.search, allow_tf32=variant.precision != "fp32"
    ):
        yield


def timed(part: Part, step: Callable[[], object], count: int) -> tuple[float, float]:
    """Return the seconds of a step, and those that the host takes to queue one."""
    part.wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    queued = time.perf_counter()
    part.wait()
    return (time.perf_counter() - start) / count, (queued - start) / count


def profiled(
    part: Part, step: Callable[[], object], top: int = 10
) -> tuple[int, float, list[tuple[str, int, float]]]:
    """Return the kernels of a step, their milliseconds, and the dearest by name."""
    on_gpu = part.device.type == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as found:
        step()
        part.wait()
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    by_name: dict[str, list[float]] = {}
    for event in found.events() or ():
        if event.device_type == wanted and not event.name.startswith(("Optimizer.", "Profiler")):
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            by_name.setdefault(event.name, []).append(spent / 1e3)
    kernels = {name: times for name, times in by_name.items() if not name.startswith("Mem")}
    rows = [(name[:110], len(times), sum(times)) for name, times in by_name.items()]
    rows.sort(key=lambda row: -row[2])
    return sum(map(len, kernels.values())), sum(row[2] for row in rows), rows[:top]


def waits(part: Part, bench: Bench) -> None:
    """Name the lines at which a step waits for the GPU, for images there and on the host."""
    batches = {"images on the GPU": bench.batches}
    if bench.on_gpu:
        store = ImageStore(bench.pixels[:64], torch.device("cpu"))
        store._device = bench.device  # as where the images do not fit
        batches["images on the host"] = bench.made_batches(store)
    for name, each in batches.items():
        for precision in ("bf16", "tf32"):
            worker = Worker(bench, Variant(precision, 4, "chunks", "eager"))
            worker.step(each)
            found = waiting_lines(part, functools.partial(worker.step, each))
            part.row(what=f"waits in a step, {precision}, {name}", count=len(found), lines=found)


def waiting_lines(part: Part, work: Callable[[], object]) -> list[str]:
    """Return the lines of this project in which `work` waits for the GPU."""
    found: list[str] = []

    def note(message: Any, *_: Any, **__: Any) -> None:
        if "synchroniz" in str(message):
            ours = [f for f in traceback.extract_stack() if "pplr_cli" in f.filename]
            line = ours[-1] if ours else traceback.extract_stack()[-2]
            found.append(f"{line.filename.rpartition('/')[2]}:{line.lineno}")

    part.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        if part.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            if part.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    return found


def operations(size: Size) -> int:
    """Count the floating-point operations of forward and backward, by shapes alone."""
    with torch.device("meta"):
        network = Network(size.backbone, classes=size.clusters)
        images = torch.empty(size.batch, 3, size.height, size.width)
    with FlopCounterMode(display=False) as counter:
        output = network(images, size.clusters)
        torch.autograd.backward(list(output), [torch.ones_like(tensor) for tensor in output])
    return int(counter.get_total_flops())


def ceilings(device: torch.device, size: int) -> dict[str, float]:
    """Return the rates of a large matrix product (TFLOP/s) and of a copy (TB/s) on this device."""
    found = {}
    for name, dtype in (("bf16", torch.bfloat16), ("tf32", torch.float32), ("fp32", torch.float32)):
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        seconds = _median_seconds(device, lambda a=a, b=b: a @ b, 3 if name == "fp32" else 10)
        found[name] = 2 * size**3 / seconds / 1e12
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.randn(size * size * 4, device=device)
    target = torch.empty_like(source)
    seconds = _median_seconds(device, lambda: target.copy_(source), 10)
    return found | {"copy": 2 * source.nbytes / seconds / 1e12}


def _median_seconds(device: torch.device, work: Callable[[], object], count: int) -> float:
    part = Part("", device, False, None)  # type: ignore[arg-type]
    timed(part, work, 2)
    return median(timed(part, work, 1)[0] for _ in range(count))
