"""Where the decoded images lie while a network works on them, and how it gets at them.

One path for every device: on a GPU that has room the images lie there whole and a batch is a
look-up; else they stay on the host, mapped from the cache, and a batch is copied over while the
GPU still works on what it was given before. On a CPU a batch of 64 takes a thousandth of a step.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHARE = 0.25
"""Of a GPU's free memory that the images of a split may take; the network needs the rest."""


def place(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return images uint8 [N, H, W, 3] where batches for `device` are best taken from."""
    images = torch.from_numpy(pixels)
    return images.to(device) if _fits(pixels.nbytes, device) else images


def _fits(size: int, device: torch.device) -> bool:
    """Tell whether the device is a GPU with room for `size` bytes of images."""
    return device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]


def take(images: Tensor, rows: slice | Tensor, device: torch.device) -> Tensor:
    """Return some of the placed images on `device`, without waiting for a GPU.

    Args:
        images: as `place` returned them.
        rows: int64 [B] on the host, or a slice.
        device: where the network is.
    """
    if isinstance(rows, slice):
        chosen = images[rows]
    else:
        chosen = images.index_select(0, rows.to(images.device, non_blocking=True))
    if chosen.device == device:
        return chosen
    return chosen.contiguous().pin_memory().to(device, non_blocking=True)
