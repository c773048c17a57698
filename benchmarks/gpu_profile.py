"""Looks into work on a GPU: its time, its kernels, where it waits, and what the card can do."""

import time
import traceback
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_report import Part
from pplr_cli.engine.network import Network

Work = Callable[[], object]


def timed(part: Part, work: Work, count: int) -> tuple[float, float]:
    """Return the seconds that `work` takes, and those that the host takes to queue it."""
    part.wait()
    start = time.perf_counter()
    for _ in range(count):
        work()
    queued = time.perf_counter()
    part.wait()
    return (time.perf_counter() - start) / count, (queued - start) / count


def profiled(
    part: Part, work: Work, top: int = 10
) -> tuple[int, float, list[tuple[str, int, float]]]:
    """Return the number of kernels, their milliseconds, and the dearest by name."""
    on_gpu = part.device.type == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity], acc_events=True) as found:
        work()
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


def waiting_lines(part: Part, work: Work) -> list[str]:
    """Return the lines of this project in which `work` waits for the GPU."""
    found: list[str] = []

    def note(message: Any, *_: Any, **__: Any) -> None:
        if "called a synchronizing" in str(message):
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


def operations(backbone: Any, shape: tuple[int, ...], clusters: int) -> int:
    """Count the floating-point operations of forward and backward, by shapes alone."""
    with torch.device("meta"):
        network = Network(backbone, classes=clusters)
        images = torch.empty(shape)
    with FlopCounterMode(display=False) as counter:
        output = network(images, clusters)
        torch.autograd.backward(list(output), [torch.ones_like(tensor) for tensor in output])
    return int(counter.get_total_flops())


def ceilings(device: torch.device, size: int) -> dict[str, float]:
    """Return the rates of a large matrix product (TFLOP/s) and of a copy (TB/s) on this device."""
    part = Part("", device, False, None)  # type: ignore[arg-type]

    def seconds(work: Work, count: int) -> float:
        timed(part, work, 2)
        return median(timed(part, work, 1)[0] for _ in range(count))

    found = {}
    for name, dtype in (("bf16", torch.bfloat16), ("tf32", torch.float32), ("fp32", torch.float32)):
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        found[name] = 2 * size**3 / seconds(lambda a=a, b=b: a @ b, 5) / 1e12  # type: ignore[misc]
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.randn(size * size * 4, device=device)
    target = torch.empty_like(source)
    return found | {"copy": 2 * source.nbytes / seconds(lambda: target.copy_(source), 10) / 1e12}
