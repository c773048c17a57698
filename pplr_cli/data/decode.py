"""Decoding image files: what counts as a whole image, and what becomes of its pixels.

One rule for every data set: 8-bit RGB. Grey is repeated, a palette looked up, alpha dropped (the
colour below it stays), 16 bits are scaled to 8, CMYK is converted without a colour profile. EXIF
rotation is applied where the caller wants it.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pplr_cli.errors import DataError
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

FORMATS = ("JPEG", "PNG")
"""What image files may hold, whatever their suffix says."""
MOST_PIXELS = 89_478_485
"""Images that declare more are refused by their header; where Pillow begins to warn."""
SMALLEST_SIDE = 4
"""Pixels: what is narrower or lower shows nothing."""
LARGEST_ASPECT = 20
"""The longer side by the shorter: beyond it, a strip and no crop."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation, and what undoes it. Pillow's own function fails where it cannot write other,
damaged EXIF fields back."""


class Fault(NamedTuple):
    """An image file that cannot be used: its path below the root, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def decode_all(
    root: Path,
    paths: Sequence[str],
    use: Callable[[int, Image.Image], None],
    title: str,
    reporter: Reporter,
    workers: int,
    *,
    hint: str,
    upright: bool = False,
) -> None:
    """Decode all files in full, on `workers` threads, and hand each RGB image to `use`.

    Args:
        root: folder of the paths.
        paths: image files below `root`.
        use: called with the position in `paths` and the image, from several threads.
        title: of the work, for people.
        reporter: told of each image.
        workers: threads.
        hint: the hint where files cannot be used.
        upright: whether EXIF rotation is applied.

    Raises:
        DataError: files that are gone or cannot be decoded, all listed together.
    """

    def work(index: int) -> None:
        use(index, decode(root / paths[index], upright=upright))

    faults = for_all(paths, work, title, reporter, workers)
    if faults:
        raise DataError(
            f"`{root}`: {len(faults)} of {len(paths)} image files cannot be used:\n"
            f"{listed([str(fault) for fault in faults])}",
            hint,
        )


def for_all(
    paths: Sequence[str],
    work: Callable[[int], None],
    title: str,
    reporter: Reporter,
    workers: int,
) -> list[Fault]:
    """Do `work` for the position of every path, on threads; return those where it failed.

    A `DataError` of `work` makes a fault, its message the reason.
    """

    def attempt(index: int) -> Fault | None:
        try:
            work(index)
        except DataError as error:
            return Fault(paths[index], error.message)
        return None

    faults = []
    with (
        warnings.catch_warnings(),
        reporter.task(title, len(paths), "images") as task,
        ThreadPoolExecutor(workers) as threads,
    ):
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata and on size
        try:
            for fault in threads.map(attempt, range(len(paths))):
                faults += [fault] if fault else []
                task.advance()
        finally:
            threads.shutdown(cancel_futures=True)
    return faults


def decode(file: Path, *, upright: bool = False) -> Image.Image:
    """Return an image file as 8-bit RGB, decoded in full.

    Args:
        file: a JPEG or PNG file; never opened if it is no regular file.
        upright: whether EXIF rotation is applied.

    Raises:
        DataError: what is wrong with the file, without its name.
    """
    with open_regular(file) as opened:
        return decode_opened(opened, upright=upright)


def open_regular(file: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        DataError: it is gone, special or not to be read, without its name.
    """
    if not file.is_file():
        raise DataError("no such file")
    try:
        return file.open("rb")
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error


def decode_opened(file: BufferedReader, *, upright: bool) -> Image.Image:
    """Decode as `decode` does, from the start of an open file."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image)
            image.load()
            return _to_rgb(_turned(image) if upright else image)
    except UnidentifiedImageError as error:
        empty = os.fstat(file.fileno()).st_size == 0
        raise DataError("empty" if empty else "neither a JPEG nor a PNG image") from error
    except Image.DecompressionBombError as error:
        raise DataError("declares too many pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(str(error)) from error


def _check_size(image: Image.Image) -> None:
    """Refuse, by the header alone, what is too large or shows nothing."""
    short, long = sorted(image.size)
    size = f"{image.width} x {image.height} pixels"
    if short * long > MOST_PIXELS:
        raise DataError("declares too many pixels")
    if short < SMALLEST_SIDE:
        raise DataError(f"{size}: narrower than {SMALLEST_SIDE}")
    if long > LARGEST_ASPECT * short:
        raise DataError(f"{size}: one side is more than {LARGEST_ASPECT} times the other")


def _turned(image: Image.Image) -> Image.Image:
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        samples = np.asarray(image, dtype=np.int64).clip(0, 65535)
        return Image.fromarray((samples // 257).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
