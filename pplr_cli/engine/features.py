"""Feature extraction in evaluation mode with the test transform."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.augment import normalise
from pplr_cli.engine.network import Network
from pplr_cli.processes import Processes
from pplr_cli.runtime import Runtime


def to_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Copy uint8 images to a device, without waiting for a GPU."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@torch.no_grad()
def extract(
    network: Network,
    pixels: NDArray[np.uint8],
    runtime: Runtime,
    *,
    batch: int,
    parts: bool = True,
) -> Tensor:
    """Return the L2-normalised features of N images as float32 [1 + P, N, D], global ones first.

    Several processes share out the batches, so that an image is in the same batch with any number
    of them; all of them get all features.

    Args:
        network: set to evaluation mode here.
        pixels: uint8 [N, H, W, 3], possibly memory-mapped.
        runtime: its device is where the network is; the features stay there.
        batch: images at a time.
        parts: whether the part features are wanted too; without them the result is [1, N, D].
    """
    network.eval()
    branches = 1 + network.parts if parts else 1
    features = torch.empty((branches, len(pixels), network.feature_size), device=runtime.device)
    shares = _shares(len(pixels), batch, runtime.processes)
    own = shares[runtime.processes.rank]
    with runtime.reporter.task("extracting features", own.stop - own.start, "images") as task:
        for rows in _batches(own, batch):
            images = normalise(to_device(pixels[rows], runtime.device))
            with runtime.autocast():
                whole, part = network.embed(images)
            features[0, rows] = whole
            if parts:
                features[1:, rows] = part
            task.advance(len(images))
    runtime.processes.exchange([features[:, rows] for rows in shares])
    return features


def _shares(images: int, batch: int, processes: Processes) -> list[slice]:
    """Return the images of each process: whole batches, but for the last one."""
    batches = -(-images // batch)
    shares = [processes.share(batches, rank) for rank in range(processes.size)]
    return [slice(s.start * batch, min(s.stop * batch, images)) for s in shares]


def _batches(rows: slice, size: int) -> Iterator[slice]:
    starts = range(rows.start, rows.stop, size)
    return (slice(start, min(start + size, rows.stop)) for start in starts)
