"""Feature extraction in evaluation mode with the test transform.

In float32, whatever the precision of training: from bf16 features the label stage makes clusters
that fit the identities less well (`benchmarks/precision.py`), and extraction is a small part of an
epoch.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.augment import normalise
from pplr_cli.engine.network import Network
from pplr_cli.engine.pixels import take
from pplr_cli.runtime import Runtime


def to_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Copy uint8 images to a device, without waiting for a GPU."""
    return take(torch.from_numpy(pixels), slice(None), device)


@torch.no_grad()
def extract(
    network: Network,
    images: Tensor | NDArray[np.uint8],
    runtime: Runtime,
    *,
    batch: int,
    parts: bool = True,
) -> Tensor:
    """Return the L2-normalised features of N images as float32 [1 + P, N, D], global ones first.

    Args:
        network: set to evaluation mode here.
        images: uint8 [N, H, W, 3], as `pixels.place` returned them, or on the host.
        runtime: its device is where the network is; the features stay there.
        batch: images at a time.
        parts: whether the part features are wanted too; without them the result is [1, N, D].
    """
    network.eval()
    images = torch.as_tensor(images)
    branches = 1 + network.parts if parts else 1
    features = torch.empty((branches, len(images), network.feature_size), device=runtime.device)
    with runtime.reporter.task("extracting features", len(images), "images") as task:
        for rows in _batches(len(images), batch):
            batch_images = normalise(take(images, rows, runtime.device))
            whole, part = network.embed(batch_images)
            features[0, rows] = whole
            if parts:
                features[1:, rows] = part
            task.advance(len(whole))
    return features


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
