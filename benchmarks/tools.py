"""Helpers of the benchmarks: random features, the device, time and peak memory."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pplr_cli.runtime import choose_device

BLOCK_ROWS = 4096

Ids = NDArray[np.int64]


def chosen_device(name: str) -> torch.device:
    """Return the device for `--device` and make it the current one, which `torch.cuda` measures."""
    device = choose_device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def make_identities(images: int, identities: int, rng: np.random.Generator) -> Ids:
    """Return the identity of each image, ascending; sizes from 0.4 to 1.6 times the mean."""
    shares = rng.uniform(0.4, 1.6, identities).cumsum()
    return np.searchsorted(shares, np.linspace(0, shares[-1], images, endpoint=False), "right")


def make_features(
    ids: Ids, cameras: Ids, size: int, noise: float, rng: np.random.Generator
) -> torch.Tensor:
    """Return unit features float32 [N, size]: identity's centre + camera's shift + noise.

    The length of an image's noise is random, from 0 to `noise` times a centre's.
    """
    draw = rng.standard_normal
    centres = draw((ids.max() + 1, size), np.float32)
    shifts = 0.5 * draw((cameras.max() + 1, size), np.float32)
    features = np.empty((len(ids), size), np.float32)
    for start in range(0, len(ids), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        block = draw(features[rows].shape, np.float32)
        block *= rng.uniform(0, noise, (len(block), 1)).astype(np.float32)
        block += centres[ids[rows]]
        block += shifts[cameras[rows]]
        features[rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return torch.from_numpy(features)


class Watch:
    """Seconds and peak memory of named pieces of work, over several runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.peaks: dict[str, list[int]] = defaultdict(list)
        self._parts: dict[str, float] = defaultdict(float)

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        """Run `work`, keep its seconds, its peak and the seconds of its watched parts."""
        self._parts.clear()
        before = reset_peak()
        start = time.perf_counter()
        result = work()
        self.seconds[name].append(time.perf_counter() - start)
        self.peaks[name].append(status("VmHWM") - before)
        for part, seconds in self._parts.items():
            self.seconds[part].append(seconds)
        return result

    def watch(self, module: ModuleType, function: str, name: str) -> None:
        """Time every call of a module's function, as a part of what is measured."""
        original = getattr(module, function)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = original(*args, **kwargs)
            self._parts[name] += time.perf_counter() - start
            return result

        setattr(module, function, timed)

    def watch_blocks(self, module: ModuleType, function: str, name: str) -> None:
        """Time what a module's generator function does between its yields."""
        original = getattr(module, function)

        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            start = time.perf_counter()
            for block in original(*args, **kwargs):
                self._parts[name] += time.perf_counter() - start
                yield block
                start = time.perf_counter()
            self._parts[name] += time.perf_counter() - start

        setattr(module, function, timed)

    def without(self, name: str, part: str) -> float:
        """Return the median of the seconds of `name` without those of its part."""
        pairs = zip(self.seconds[name], self.seconds[part], strict=True)
        return median(total - inner for total, inner in pairs)

    def median(self, name: str) -> float:
        """Return the median of the seconds of `name`."""
        return median(self.seconds[name])

    def peak(self, name: str) -> float:
        """Return the largest peak of `name` in GB above what was resident before it."""
        return max(self.peaks[name]) / 1e9


class GpuMemory:
    """Samples how much of a GPU's memory is in use in `with` blocks, whoever allocated it.

    Libraries allocate beside PyTorch, so `torch.cuda.max_memory_allocated` misses their share.

    Attributes:
        peak: the largest use seen, in GB.
    """

    def __init__(self, device: torch.device) -> None:
        self.peak = 0.0
        self._device, self._done = device, threading.Event()

    def __enter__(self) -> None:
        self._done.clear()
        self._thread = threading.Thread(target=self._sample)
        if self._device.type == "cuda":
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._device.type == "cuda":
            self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.005):
            free, total = torch.cuda.mem_get_info(self._device)
            self.peak = max(self.peak, (total - free) / 1e9)


def reset_peak() -> int:
    """Set this process's peak of resident memory to what is resident now; return that, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def resident() -> float:
    """Return the peak of resident memory since the last reset in GB."""
    return status("VmHWM") / 1e9


def status(key: str) -> int:
    """Return a size from /proc/self/status in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024
