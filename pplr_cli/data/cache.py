"""Decoded images on disk: every image is decoded and resized once, and memory-mapped after that.

A cache file is a `.npy` array followed by a `MARK` for each image. Images that an earlier file has
are copied from it, so that a data set that grows decodes the new ones alone.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli import env
from pplr_cli.data.decode import decode, for_all, resize, unusable
from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError
from pplr_cli.files import check_space, locked, sync_folder
from pplr_cli.progress import Reporter

Pixels = NDArray[np.uint8]
Marks = NDArray[np.void]

MARK = np.dtype([("key", "S32"), ("crc", "<u4")])
"""What an image's pixels depend on (`image_keys`), and their CRC-32, compared at each use."""
TRANSFORM_VERSION = 1
"""Raise it when a file decodes to other pixels than before."""
NO_ROOM = (
    "make room there, use `--set data.cache=compact`, move the cache with PPLR_CACHE_DIR, or use "
    "--no-cache (more memory)"
)
KEPT_DAYS = 60
"""Arrays unused for this many days are removed when the next one is written."""
NO_ARRAY = (ValueError, TypeError, OverflowError, EOFError, SyntaxError)
"""What NumPy raises on a file that is no array, or damaged."""
REPLACED = 0.5
"""An array is removed if a new one contains at least this share of its images."""


def decode_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, workers: int
) -> Pixels:
    """Decode and resize (bicubic) all images into memory, uint8 [N, height, width, 3].

    Raises:
        DataError: images are broken (all are listed).
    """
    pixels = np.empty((len(images), height, width, 3), np.uint8)
    _fill(pixels, images, range(len(images)), reporter, workers)
    return pixels


def map_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, workers: int
) -> Pixels:
    """Map the decoded images from the cache, which is filled on first use.

    The result is that of `decode_images`. An image is decoded again if its name, size, time or
    recorded digest changes.

    Raises:
        DataError: images are broken (all are listed), or the disk is too full for the cache.
    """
    size = (height, width)
    keys = list(image_keys(images, size))
    name = hashlib.sha256(b"".join(keys)).hexdigest()[:32]
    path = env.cache_dir() / "images" / f"{name}.npy"
    pixels = _checked(path, size, reporter, workers)
    if pixels is None:
        with cache_lock(path.parent, reporter):
            if not path.is_file():
                sweep(path.parent)
                _write(path, keys, images, size, reporter, workers)
        pixels, _ = _open(path, size)
    with suppress(OSError):  # the cache may be read-only, or another user's
        os.utime(path)  # in use: see KEPT_DAYS
    reporter.detail(f"{len(images):,} decoded images: `{path}`")
    return pixels


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


def image_keys(images: ImageSet, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield a digest of everything that the pixels of each image depend on."""
    head = json.dumps([TRANSFORM_VERSION, str(images.root), *size, images.upright])
    contents = images.contents or ("",) * len(images)
    for line, content in zip(stamps(images), contents, strict=True):
        text = f"{head}{content}\0{line}".encode(errors="surrogateescape")
        yield hashlib.sha256(text).hexdigest()[:32].encode()


def _open(path: Path, size: tuple[int, int]) -> tuple[Pixels, Marks]:
    """Map an array of images of this height and width; one of `NO_ARRAY` if it is none."""
    # torch wants writable memory; it is never written
    pixels: Any = np.lib.format.open_memmap(path, mode="c")
    start = pixels.offset + pixels.nbytes
    marks = np.fromfile(path, MARK, offset=start)
    whole = start + MARK.itemsize * len(pixels) == path.stat().st_size
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (*size, 3) or not whole:
        raise ValueError(f"{pixels.dtype} {pixels.shape}, {len(marks)} checksums")
    return pixels, marks


def _checked(path: Path, size: tuple[int, int], reporter: Reporter, workers: int) -> Pixels | None:
    """Map a cached array; a missing or damaged one gives None, and a damaged one is removed."""
    try:
        pixels, marks = _open(path, size)
        if np.array_equal(marks["crc"], _checksums(pixels, workers)):
            return pixels
        found = "wrong checksums"
    except FileNotFoundError:
        return None
    except NO_ARRAY as error:
        found = str(error)
    reporter.warn(f"`{path}`: damaged or outdated ({found}); decoding the images again")
    path.unlink(missing_ok=True)
    return None


def _checksums(pixels: Pixels, workers: int) -> NDArray[np.uint32]:
    """Return the CRC-32 of each image."""
    with ThreadPoolExecutor(workers) as threads:
        return np.fromiter(threads.map(zlib.crc32, np.asarray(pixels)), np.uint32, len(pixels))


def cache_lock(folder: Path, reporter: Reporter) -> AbstractContextManager[object]:
    """Hold the lock of the cache: one process at a time writes into it."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = "another pplr is decoding images into the cache; waiting for it"
    return locked(folder / "lock", lambda: reporter.info(busy))


def sweep(folder: Path) -> None:
    """Remove unfinished files of killed processes, and arrays that nobody uses any more."""
    oldest = time.time() - KEPT_DAYS * 86400
    for file in (
        each for kind in ("tmp", "npy", "npz", "pack") for each in folder.glob(f"*.{kind}")
    ):
        with suppress(OSError):  # another user's
            if file.suffix == ".tmp" or file.stat().st_mtime < oldest:
                file.unlink()


def _write(
    path: Path,
    keys: list[bytes],
    images: ImageSet,
    size: tuple[int, int],
    reporter: Reporter,
    workers: int,
) -> None:
    """Write the array to a temporary file and rename it when it is complete."""
    shape = (len(images), *size, 3)
    needed = int(np.prod(shape)) + MARK.itemsize * len(images)
    check_space(path.parent, needed, "the decoded images", NO_ROOM)
    temporary = path.with_suffix(".tmp")
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(temporary, path)
        done, replaced = _copy_known(pixels, keys, path.parent)
        rest = [number for number in range(len(images)) if number not in done]
        _fill(pixels, images, rest, reporter, workers)
        pixels.flush()
        marks = np.empty(len(images), MARK)
        marks["key"], marks["crc"] = keys, _checksums(pixels, workers)
        with temporary.open("ab") as file:
            file.write(marks.tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    for old in replaced:
        old.unlink(missing_ok=True)


def _copy_known(pixels: Pixels, keys: list[bytes], folder: Path) -> tuple[set[int], list[Path]]:
    """Copy the images that other arrays have; return their rows and the arrays replaced by it."""
    rows = {key: number for number, key in enumerate(keys)}
    done: set[int] = set()
    replaced = []
    for file in folder.glob("*.npy"):
        with suppress(OSError, *NO_ARRAY):
            other, marks = _open(file, pixels.shape[1:3])
            shared = [n for n, key in enumerate(marks["key"].tolist()) if key in rows]
            for number in shared:
                if zlib.crc32(other[number].tobytes()) == marks["crc"][number]:
                    row = rows[marks["key"][number]]
                    pixels[row] = other[number]
                    done.add(row)
            if shared and len(shared) >= REPLACED * len(marks):
                replaced.append(file)
    return done, replaced


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


def _fill(
    pixels: Pixels, images: ImageSet, rows: Sequence[int], reporter: Reporter, workers: int
) -> None:
    """Decode and resize some images into their rows of `pixels`."""
    _, height, width, _ = pixels.shape
    files = images.files

    def work(index: int) -> None:
        row = rows[index]
        pixels[row] = resize(decode(files[row], upright=images.upright), height, width)

    paths = [images.paths[row] for row in rows]
    if faults := for_all(paths, work, "decoding images", reporter, workers):
        raise unusable(images, faults)
