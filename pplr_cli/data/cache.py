"""Decoded images on disk: every image is decoded and resized once, and memory-mapped after that.

A cache file is a `.npy` array followed by the CRC-32 of every image, checked each time it is used.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pplr_cli import env
from pplr_cli.data.decode import decode_all, resize
from pplr_cli.data.manifest import ImageSet
from pplr_cli.errors import DataError
from pplr_cli.files import check_space, locked, sync_folder
from pplr_cli.progress import Reporter

Pixels = NDArray[np.uint8]

TRANSFORM_VERSION = 1
"""Raise it when a file decodes to other pixels than before."""
NO_ROOM = "make room there, move the cache with PPLR_CACHE_DIR, or use --no-cache (more memory)"
KEPT_DAYS = 60
"""Arrays unused for this many days are removed when the next one is written."""


def decode_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, workers: int
) -> Pixels:
    """Decode and resize (bicubic) all images into memory, uint8 [N, height, width, 3].

    Raises:
        DataError: images are broken (all are listed).
    """
    pixels = np.empty((len(images), height, width, 3), np.uint8)
    _fill(pixels, images, reporter, workers)
    return pixels


def map_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, workers: int
) -> Pixels:
    """Map the decoded images from the cache, which is filled on first use.

    The file's name depends on the images' names, sizes, times and recorded digests, on the size
    and on the transform. The result is that of `decode_images`.

    Raises:
        DataError: images are broken (all are listed), or the disk is too full for the cache.
    """
    shape = (len(images), height, width, 3)
    path = env.cache_dir() / "images" / f"{_key(images, height, width)}.npy"
    pixels = _checked(path, shape, reporter, workers)
    if pixels is None:
        _build(path, shape, images, reporter, workers)
        pixels = _map(path)
    with suppress(OSError):  # the cache may be read-only, or another user's
        os.utime(path)  # in use: see KEPT_DAYS
    reporter.detail(f"{len(images):,} decoded images: `{path}`")
    return pixels


def _map(path: Path) -> Any:
    return np.lib.format.open_memmap(path, mode="c")  # torch wants writable memory; never written


def _checked(path: Path, shape: tuple[int, ...], reporter: Reporter, workers: int) -> Pixels | None:
    """Map a cached array; a missing or damaged one gives None, and a damaged one is removed."""
    try:
        pixels = _map(path)
        sums = np.fromfile(path, np.uint32, offset=pixels.offset + pixels.nbytes)
        like = pixels.shape == shape and pixels.dtype == np.uint8
        if like and np.array_equal(sums, _checksums(pixels, workers)):
            return pixels  # type: ignore[no-any-return]
        found = f"{pixels.dtype} {pixels.shape}, {len(sums)} checksums"
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OverflowError, EOFError, SyntaxError) as error:
        found = str(error)
    reporter.warn(f"`{path}`: damaged or outdated ({found}); decoding the images again")
    path.unlink(missing_ok=True)
    return None


def _checksums(pixels: Pixels, workers: int) -> NDArray[np.uint32]:
    """Return the CRC-32 of each image."""
    with ThreadPoolExecutor(workers) as threads:
        return np.fromiter(threads.map(zlib.crc32, np.asarray(pixels)), np.uint32, len(pixels))


def _build(
    path: Path, shape: tuple[int, ...], images: ImageSet, reporter: Reporter, workers: int
) -> None:
    """Write the array unless another process does; one process at a time writes into the cache."""

    def wait() -> None:
        reporter.info("another pplr is decoding images into the cache; waiting for it")

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / "lock"
    with locked(lock, wait):
        try:
            if not path.is_file():
                _sweep(path.parent)
                _write(path, shape, images, reporter, workers)
        finally:
            lock.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove unfinished files of killed processes, and arrays that nobody uses any more."""
    oldest = time.time() - KEPT_DAYS * 86400
    for file in (*folder.glob("*.tmp"), *folder.glob("*.npy")):
        with suppress(OSError):  # another user's
            if file.suffix == ".tmp" or file.stat().st_mtime < oldest:
                file.unlink()


def _write(
    path: Path, shape: tuple[int, ...], images: ImageSet, reporter: Reporter, workers: int
) -> None:
    """Write the array to a temporary file and rename it when it is complete."""
    size = int(np.prod(shape)) + 4 * len(images)
    check_space(path.parent, size, "the decoded images", NO_ROOM)
    temporary = path.with_suffix(".tmp")
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(temporary, path)
        _fill(pixels, images, reporter, workers)
        pixels.flush()
        with temporary.open("ab") as file:
            file.write(_checksums(pixels, workers).tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _reserve(temporary: Path, path: Path) -> None:
    """Allocate the disk blocks: writing into a mapped file on a full disk kills the process.

    Does nothing on systems without the call, such as macOS.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise DataError(
                f"`{path.parent}`: the decoded images: {error.strerror}", NO_ROOM
            ) from error


def _fill(pixels: Pixels, images: ImageSet, reporter: Reporter, workers: int) -> None:
    """Decode and resize every image into its row of `pixels`."""
    _, height, width, _ = pixels.shape

    def use(index: int, image: Image.Image) -> None:
        pixels[index] = resize(image, height, width)

    decode_all(images, use, reporter, workers)


def _key(images: ImageSet, height: int, width: int) -> str:
    """Return the name of the cached array: a digest of everything the pixels depend on."""
    head = json.dumps(
        [TRANSFORM_VERSION, str(images.root), height, width, images.upright, images.contents]
    )
    digest = hashlib.sha256(head.encode(errors="surrogateescape"))
    for line in stamps(images):
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def stamps(images: ImageSet) -> Iterator[str]:
    """Yield a line for each image that changes with its path, size and time.

    Raises:
        DataError: a file is gone.
    """
    for path, file in zip(images.paths, images.files, strict=True):
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"`{file}`: the image is gone", images.hint) from error
        yield f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"
