"""Decoding and resizing, once: images become one uint8 array that is memory-mapped ever after."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pplr_cli import env
from pplr_cli.data.manifest import ImageSet
from pplr_cli.data.trees import listed
from pplr_cli.errors import DataError
from pplr_cli.files import sync_folder
from pplr_cli.progress import Reporter

Pixels = NDArray[np.uint8]

TRANSFORM_VERSION = 1
"""Raise it when the pixels change that a file decodes to."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB: alpha dropped, gray repeated, 16 bits scaled to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        samples = np.asarray(image, dtype=np.int64).clip(0, 65535)
        image = Image.fromarray((samples // 257).astype(np.uint8))
    return image.convert("RGB")


def load_image(path: Path, height: int, width: int) -> Pixels:
    """Decode one file in full and resize it (bicubic): uint8 [height, width, 3].

    Raises:
        DataError: the file is gone, cut short or no image.
    """
    try:
        with Image.open(path) as image:
            resized = to_rgb(image).resize((width, height), Image.Resampling.BICUBIC)
    except FileNotFoundError as error:
        raise DataError(f"`{path}`: the image is gone", "prepare the data set anew") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"`{path}`: not a whole image ({error})", "replace or remove it") from error
    return np.asarray(resized)


def load_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, *, workers: int, cache: bool
) -> Pixels:
    """Return all images of a split as uint8 [N, height, width, 3].

    With `cache` the array is memory-mapped from a file under the cache folder, written at first
    use and found again by the images' names, sizes and times, the size and the transform.

    Raises:
        DataError: images are broken (all are listed), or the disk is too full for the cache.
    """
    shape = (len(images), height, width, 3)
    if not cache:
        pixels = np.empty(shape, np.uint8)
        _fill(pixels, images.files, reporter, workers)
        return pixels
    path = env.cache_dir() / "images" / f"{_key(images, height, width)}.npy"
    if not path.is_file():
        _write_cache(path, shape, images.files, reporter, workers)
    cached: Pixels = np.load(path, mmap_mode="c")  # torch wants writable memory; never written
    return cached


def _write_cache(
    path: Path, shape: tuple[int, ...], files: list[Path], reporter: Reporter, workers: int
) -> None:
    """Write the array under a temporary name; only a whole one gets the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    need, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if need > free:
        raise DataError(
            f"`{path.parent}`: the decoded images take {need / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB are free",
            "set `PPLR_CACHE_DIR` to a larger disk, or use --no-cache",
        )
    temporary = path.with_suffix(".tmp")
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _fill(pixels, files, reporter, workers)
        pixels.flush()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _fill(pixels: Pixels, files: list[Path], reporter: Reporter, workers: int) -> None:
    """Decode every file into its row of `pixels`, on `workers` threads."""
    _, height, width, _ = pixels.shape

    def decode(index: int) -> str | None:
        try:
            pixels[index] = load_image(files[index], height, width)
        except DataError as error:
            return error.message
        return None

    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(workers) as pool,
        reporter.task("decoding images", len(files), "images") as task,
    ):
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata
        faults = []
        for fault in pool.map(decode, range(len(files))):
            task.advance()
            if fault:
                faults.append(fault)
    if faults:
        raise DataError(
            f"{len(faults)} images cannot be used:\n{listed(faults)}",
            "replace or remove them, then prepare the data set anew",
        )


def _key(images: ImageSet, height: int, width: int) -> str:
    """Return the name of the cache: a digest of all that the pixels depend on."""
    digest = hashlib.sha256(
        json.dumps([TRANSFORM_VERSION, str(images.root), height, width]).encode()
    )
    for line in _stamps(images):
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _stamps(images: ImageSet) -> Iterable[str]:
    for path, file in zip(images.paths, images.files, strict=True):
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"`{file}`: the image is gone", "prepare the data set anew") from error
        yield f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"
