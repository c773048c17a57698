"""The decoded images of a split, ready for batches on the training device.

Keeps decoded images on the GPU if they fit; otherwise copies each batch from host memory.
"""

import torch
from torch import Tensor

from pplr_cli.config.fields import Data
from pplr_cli.data.cache import Pixels, decode_images, map_images
from pplr_cli.data.manifest import ImageSet
from pplr_cli.runtime import Runtime

SHARE = 0.25
"""Share of a GPU's free memory that the images of a split may take; the network needs the rest."""


class ImageStore:
    """N images as uint8 [N, H, W, 3].

    Args:
        pixels: the images in host memory or mapped from a file; never written to.
        device: where batches are used.
    """

    def __init__(self, pixels: Pixels, device: torch.device | None = None) -> None:
        self.pixels = pixels
        self._device = device or torch.device("cpu")
        images = torch.from_numpy(pixels)
        self._images = images.to(self._device) if _fits(pixels.nbytes, self._device) else images

    @classmethod
    def open(cls, images: ImageSet, data: Data, runtime: Runtime) -> "ImageStore":
        """Decode the images of a split, or map them from the cache.

        Args:
            images: the split.
            data: height and width that the images are resized to (bicubic).
            runtime: device, decoding threads, reporter, and whether the cache is used.

        Raises:
            DataError: images are broken (all are listed), or the disk is too full for the cache.
        """
        read = map_images if runtime.cache else decode_images
        pixels = read(images, data.height, data.width, runtime.reporter, runtime.workers)
        return cls(pixels, runtime.device)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: slice | Tensor) -> Tensor:
        """Return some images on the device, uint8 [B, H, W, 3], without waiting for a GPU.

        Args:
            rows: int64 [B] on the host, or a slice.
        """
        if isinstance(rows, slice):
            chosen = self._images[rows]
        else:
            rows = rows.to(self._images.device, non_blocking=True)
            chosen = self._images.index_select(0, rows)
        if chosen.device == self._device:
            return chosen
        return chosen.contiguous().pin_memory().to(self._device, non_blocking=True)


def _fits(size: int, device: torch.device) -> bool:
    """Return whether the device is a GPU with room for `size` bytes of images."""
    return device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]
