"""Feature extraction in evaluation mode with the test transform."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.augment import normalise
from pplr_cli.engine.network import Network
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
    with runtime.reporter.task("extracting features", len(pixels), "images") as task:
        for rows in _batches(len(pixels), batch):
            images = normalise(to_device(pixels[rows], runtime.device))
            with runtime.autocast():
                whole, part = network.embed(images)
            features[0, rows] = whole
            if parts:
                features[1:, rows] = part
            task.advance(len(images))
    return features


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
