"""Decodes image files to 8-bit RGB, and refuses those that cannot be used.

One rule for every data set: grey is repeated, palettes are looked up, alpha is dropped (the colour
below it stays), 16 bits are scaled to 8, CMYK is converted without a colour profile. EXIF
orientation is applied only where the caller asks for it.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError, is_out_of_memory
from pplr_cli.files import LFS_POINTER
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

FORMATS = ("JPEG", "PNG")
"""Accepted formats, whatever the file's suffix."""
MOST_PIXELS = 50_000_000
"""Images that declare more are refused by their header: decoding takes up to 10 bytes per pixel."""
SMALLEST_SIDE = 4
"""Pixels: narrower or lower images show nothing."""
LARGEST_ASPECT = 20
"""The longer side divided by the shorter: beyond it, a strip and no crop."""

BLOCK = 64
"""Images that a thread works on at a time."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation. Pillow's own function fails if it cannot write other, damaged
EXIF fields back."""


class Fault(NamedTuple):
    """An image file that cannot be used: its path below the root, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def for_all(
    paths: Sequence[str],
    work: Callable[[int], None],
    title: str,
    reporter: Reporter,
    workers: int,
) -> list[Fault]:
    """Call `work` with the position of every path, on threads; return those where it failed.

    A `DataError` of `work` becomes a fault with its message as the reason.
    """

    def attempt(block: range) -> list[Fault]:
        faults = []
        for index in block:
            try:
                work(index)
            except DataError as error:
                faults.append(Fault(paths[index], error.message))
        return faults

    faults: list[Fault] = []
    size = max(1, min(BLOCK, len(paths) // (8 * workers)))
    positions = range(len(paths))
    blocks = [positions[start : start + size] for start in positions[::size]]
    with (
        warnings.catch_warnings(),
        reporter.task(title, len(paths), "images") as task,
        ThreadPoolExecutor(workers) as threads,
    ):
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata and on size
        try:
            for block, found in zip(blocks, threads.map(attempt, blocks), strict=True):
                faults += found
                task.advance(len(block))
        finally:
            threads.shutdown(cancel_futures=True)
    return faults


def unusable(images: ImageSet, faults: Sequence[Fault]) -> DataError:
    """Return the error about images that cannot be used; the first 20 are named."""
    message = f"`{images.root}`: {len(faults)} of {len(images)} image files cannot be used"
    return DataError(f"{message}:\n{listed([str(fault) for fault in faults])}", images.hint)


def decode(file: Path, *, upright: bool = False) -> Image.Image:
    """Return an image file as 8-bit RGB, decoded in full.

    Args:
        file: a JPEG or PNG file; opened only if it is a regular file.
        upright: whether EXIF orientation is applied.

    Raises:
        DataError: what is wrong with the file, without its name.
    """
    with open_regular(file) as opened:
        return decode_opened(opened, upright=upright)


def open_regular(file: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        DataError: it is missing, special or unreadable; without its name.
    """
    try:
        if file.is_file():
            return file.open("rb")
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error
    raise DataError("no such file")


def decode_opened(file: BinaryIO, *, upright: bool) -> Image.Image:
    """Decode as `decode` does, from the start of an open file."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image)
            image.load()
            return as_rgb(image, upright=upright)
    except UnidentifiedImageError as error:
        raise DataError(_what_instead(file)) from error
    except Image.DecompressionBombError as error:
        raise DataError("declares too many pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise DataError(str(error)) from error


def _what_instead(file: BinaryIO) -> str:
    """Return what a file is that holds no image."""
    file.seek(0)
    start = file.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        return "a Git LFS pointer, not the image: run `git lfs pull`"
    return "neither a JPEG nor a PNG image" if start else "empty"


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


def resize(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Return an RGB image, resized (bicubic), as uint8 [height, width, 3]."""
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _turned(image: Image.Image) -> Image.Image:
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def as_rgb(image: Image.Image, *, upright: bool) -> Image.Image:
    """Convert an image to 8-bit RGB; `upright` applies its EXIF orientation."""
    image = _turned(image) if upright else image
    if image.mode.startswith("I;16") or image.mode == "I":
        samples = np.array(image).clip(0, 65535)
        samples //= 257
        return Image.fromarray(samples.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
