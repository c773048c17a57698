"""The files of a split in one file: their bytes take far less space than decoded images.

A pack is the bytes of all image files, a `MARK` for each, and `TAIL`. Images are decoded and
resized when they are taken, on threads; those of the next batch while the network works.
"""

import hashlib
import os
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli import env
from pplr_cli.data.cache import NO_ROOM, Pixels, cache_lock, image_keys, sweep
from pplr_cli.data.decode import Fault, decode_opened, open_regular, resize, unusable
from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError
from pplr_cli.files import check_space, sync_folder
from pplr_cli.progress import Reporter

MARK = np.dtype([("end", "<i8"), ("crc", "<u4")])
"""Where an image's bytes end, and their CRC-32, compared at each use."""
TAIL = np.dtype([("digest", "S64"), ("crc", "<u4"), ("count", "<i8")])
"""SHA-256 of all decoded images in order and then the cameras; CRC-32 of it and the marks; N."""
BLOCK = 256
"""Images packed at a time."""

Rows = slice | NDArray[np.int64]


class CompactImages:
    """N images that are decoded when they are taken, each time anew.

    Attributes:
        shape: (N, H, W, 3), as of an array.
        digest: SHA-256 of all decoded images and then the cameras.
    """

    def __init__(self, path: Path, size: tuple[int, int], *, upright: bool, workers: int) -> None:
        tail = np.fromfile(path, TAIL, offset=max(0, path.stat().st_size - TAIL.itemsize))[0]
        count, self._bytes = int(tail["count"]), np.memmap(path, np.uint8, "r")
        end = len(self._bytes) - TAIL.itemsize - count * MARK.itemsize
        if end < 0 or count < 0:
            raise ValueError(f"{count} images")
        self._marks = np.fromfile(path, MARK, count, offset=end)
        self._starts = np.concatenate(([0], self._marks["end"]))
        crc = zlib.crc32(self._marks.tobytes() + tail["digest"])
        if self._starts[-1] != end or crc != tail["crc"]:
            raise ValueError(f"{count} images of {end} bytes")
        self.shape, self.digest = (count, *size, 3), str(tail["digest"], "ascii")
        self.nbytes = int(np.prod(self.shape))
        self._upright, self._threads = upright, ThreadPoolExecutor(workers)
        self._ahead: tuple[bytes, Future[Pixels]] | None = None
        self._workers, self._leader = workers, ThreadPoolExecutor(1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: "int | np.integer[Any] | Rows") -> Pixels:
        if isinstance(rows, int | np.integer):
            return self._decoded(int(rows))
        wanted = self._numbers(rows)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == wanted.tobytes():
            return ahead[1].result()
        return self._take(wanted)

    def prefetch(self, rows: Rows) -> None:
        """Begin to decode the images that are taken next."""
        wanted = self._numbers(rows)
        self._ahead = wanted.tobytes(), self._leader.submit(self._take, wanted)

    def damaged(self) -> int:
        """Return how many images have other bytes than were packed."""
        found = self._threads.map(lambda row: zlib.crc32(self._file(row)), range(len(self)))
        crc = np.fromiter(found, np.uint32, len(self))
        return int((crc != self._marks["crc"]).sum())

    def _numbers(self, rows: Rows) -> NDArray[np.int64]:
        return np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows

    def _take(self, rows: NDArray[np.int64]) -> Pixels:
        pixels = np.empty((len(rows), *self.shape[1:]), np.uint8)

        def fill(places: NDArray[np.int64]) -> None:
            for place in places:
                pixels[place] = self._decoded(int(rows[place]))

        list(self._threads.map(fill, np.array_split(np.arange(len(rows)), 2 * self._workers)))
        return pixels

    def _decoded(self, row: int) -> Pixels:
        return _pixels(self._file(row), self.shape, self._upright)

    def _file(self, row: int) -> bytes:
        return self._bytes[self._starts[row] : self._starts[row + 1]].tobytes()


Images = Pixels | CompactImages
"""N images uint8 [N, H, W, 3], decoded or not."""


def pack_images(
    images: ImageSet, height: int, width: int, reporter: Reporter, workers: int
) -> CompactImages:
    """Open the pack of a split; on first use all its images are checked, and their bytes copied.

    Taking images gives the same bits as `map_images`.

    Raises:
        DataError: images are broken (all are listed), or the disk is too full for the pack.
    """
    size = (height, width)
    name = hashlib.sha256(b"".join(image_keys(images, size)) + images.cameras.tobytes())
    path = env.cache_dir() / "images" / f"{name.hexdigest()[:32]}.pack"
    warnings.filterwarnings("ignore", module=r"PIL\.")  # notes on odd metadata, from threads

    def opened() -> CompactImages:
        return CompactImages(path, size, upright=images.upright, workers=workers)

    if not _intact(path, opened, reporter):
        with cache_lock(path.parent, reporter):
            if not path.is_file():
                sweep(path.parent)
                _write(path, images, size, reporter, workers)
    with suppress(OSError):  # the cache may be read-only, or another user's
        os.utime(path)
    reporter.detail(f"{len(images):,} packed images: `{path}`")
    return opened()


def _intact(path: Path, opened: Callable[[], CompactImages], reporter: Reporter) -> bool:
    """Return whether there is an intact pack; a damaged one is removed."""
    try:
        damaged = opened().damaged()
        found = f"{damaged} wrong checksums"
    except FileNotFoundError:
        return False
    except (ValueError, OverflowError, IndexError) as error:
        damaged, found = 1, str(error)
    if damaged:
        reporter.warn(f"`{path}`: damaged ({found}); packing the images again")
        path.unlink(missing_ok=True)
    return not damaged


def _write(
    path: Path, images: ImageSet, size: tuple[int, int], reporter: Reporter, workers: int
) -> None:
    """Write the pack to a temporary file and rename it when it is complete."""
    files = images.files
    needed = sum(file.stat().st_size for file in files) + MARK.itemsize * len(files)
    check_space(path.parent, needed, "the packed images", NO_ROOM)
    temporary, faults = path.with_suffix(".tmp"), []
    marks, digest = np.empty(len(files), MARK), hashlib.sha256()

    def read(file: Path) -> tuple[bytes, Pixels] | DataError:
        try:
            with open_regular(file) as opened:
                content = opened.read()
            return content, _pixels(content, (0, *size), images.upright)
        except DataError as error:
            return error

    try:
        with (
            temporary.open("wb") as pack,
            ThreadPoolExecutor(workers) as threads,
            reporter.task("packing images", len(files), "images") as task,
        ):
            for start in range(0, len(files), BLOCK):
                block = files[start : start + BLOCK]
                for number, result in enumerate(threads.map(read, block), start):
                    if isinstance(result, DataError):
                        faults.append(Fault(images.paths[number], result.message))
                        continue
                    pack.write(result[0])
                    digest.update(result[1].tobytes())
                    marks[number] = pack.tell(), zlib.crc32(result[0])
                task.advance(len(block))
            if faults:
                raise unusable(images, faults)
            digest.update(images.cameras.tobytes())
            about, found = marks.tobytes(), digest.hexdigest().encode()
            tail = np.array((found, zlib.crc32(about + found), len(files)), TAIL)
            pack.write(about + tail.tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _pixels(content: bytes, shape: tuple[int, ...], upright: bool) -> Pixels:
    """Decode a file and resize it to H x W, the second and third number of `shape`."""
    return resize(decode_opened(BytesIO(content), upright=upright), shape[1], shape[2])
