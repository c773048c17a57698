"""The images of a split, ready for batches on the training device.

Keeps decoded images on the GPU if they fit; otherwise copies each batch from host memory, where it
lies decoded or is decoded from the bytes of its files.
"""

import hashlib
import shutil
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli import env
from pplr_cli.config.fields import Data
from pplr_cli.data.cache import decode_images, map_images
from pplr_cli.data.compact import CompactImages, Images, pack_images
from pplr_cli.data.images import ImageSet
from pplr_cli.runtime import Runtime

SHARE = 0.25
"""Share of a GPU's free memory that the images of a split may take; the network needs the rest."""
DISK_SHARE = 0.5
"""Share of the disk space left by other files that decoded images of a split may take by `auto`."""


class ImageStore:
    """N images as uint8 [N, H, W, 3].

    Args:
        pixels: the images in host memory or mapped from a file, never written to; or packed.
        device: where batches are used.
    """

    def __init__(self, pixels: Images, device: torch.device | None = None) -> None:
        self.pixels = pixels
        self._device = device or torch.device("cpu")
        self._images: Tensor | None = None
        if not isinstance(pixels, CompactImages):
            images = torch.from_numpy(pixels)
            fits = _fits(pixels.nbytes, self._device)
            self._images = images.to(self._device) if fits else images

    @classmethod
    def open(cls, images: ImageSet, data: Data, runtime: Runtime) -> "ImageStore":
        """Decode the images of a split, or open them from the cache as `data.cache` says.

        Args:
            images: the split.
            data: height and width that the images are resized to (bicubic), and the cache.
            runtime: device, decoding threads, reporter, and whether the cache is used.

        Raises:
            DataError: images are broken (all are listed), or the disk is too full for the cache.
        """
        given = images, data.height, data.width, runtime.reporter, runtime.workers
        kind = cache_kind(len(images), data) if runtime.cache else "none"
        readers: dict[str, Callable[..., Images]] = {
            "pixels": map_images,
            "compact": pack_images,
            "none": decode_images,
        }
        return cls(readers[kind](*given), runtime.device)

    def __len__(self) -> int:
        return len(self.pixels)

    def digest(self, cameras: NDArray[np.int64]) -> str:
        """Return the SHA-256 of all decoded images and then the cameras of the split."""
        if isinstance(self.pixels, CompactImages):
            return self.pixels.digest
        found = hashlib.sha256(np.ascontiguousarray(self.pixels).data)
        found.update(cameras.tobytes())
        return found.hexdigest()

    def take(self, rows: slice | Tensor, following: slice | Tensor | None = None) -> Tensor:
        """Return some images on the device, uint8 [B, H, W, 3], without waiting for a GPU.

        Args:
            rows: int64 [B] on the host, or a slice.
            following: those taken next, which packed images begin to decode.
        """
        if self._images is None:
            chosen = torch.from_numpy(self.pixels[_plain(rows)])
            if following is not None and isinstance(self.pixels, CompactImages):
                self.pixels.prefetch(_plain(following))
        elif isinstance(rows, slice):
            chosen = self._images[rows]
        else:
            rows = rows.to(self._images.device, non_blocking=True)
            chosen = self._images.index_select(0, rows)
        if chosen.device == self._device:
            return chosen
        return chosen.contiguous().pin_memory().to(self._device, non_blocking=True)


def cache_kind(count: int, data: Data) -> str:
    """Return `data.cache`; for `auto`, `pixels` if they fit on the disk and else `compact`."""
    if data.cache != "auto":
        return data.cache
    folder = env.cache_dir() / "images"
    room = sum(file.stat().st_size for file in folder.glob("*.npy"))  # so that `auto` is stable
    room += shutil.disk_usage(next(each for each in folder.parents if each.is_dir())).free
    return "pixels" if 3 * count * data.height * data.width <= DISK_SHARE * room else "compact"


def _plain(rows: slice | Tensor) -> slice | NDArray[np.int64]:
    return rows if isinstance(rows, slice) else rows.numpy()


def _fits(size: int, device: torch.device) -> bool:
    """Return whether the device is a GPU with room for `size` bytes of images."""
    return device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]
