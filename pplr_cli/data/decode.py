"""Decoding image files: what counts as a whole image, and what becomes of its pixels."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pplr_cli.errors import DataError
from pplr_cli.progress import Reporter
from pplr_cli.wording import listed

FORMATS = ("JPEG", "PNG")
"""What image files may hold, whatever their suffix says."""


def decode_all(
    root: Path,
    paths: Sequence[str],
    use: Callable[[int, Image.Image], None],
    title: str,
    reporter: Reporter,
    workers: int,
) -> None:
    """Decode all files in full, on `workers` threads, and hand each RGB image to `use`.

    Headers that declare more pixels than Pillow's limit (89 million) are refused before decoding.

    Args:
        root: folder of the paths.
        paths: image files below `root`.
        use: called with the position in `paths` and the image, from several threads.
        title: of the work, for people.
        reporter: told of each image.
        workers: threads.

    Raises:
        DataError: files that are gone or cannot be decoded, all listed together.
    """

    def work(index: int) -> str | None:
        try:
            use(index, decode(root / paths[index]))
        except DataError as error:
            return f"{paths[index]}: {error.message}"
        return None

    with (
        warnings.catch_warnings(),
        reporter.task(title, len(paths), "images") as task,
        ThreadPoolExecutor(workers) as threads,
    ):
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        faults = []
        try:
            for fault in threads.map(work, range(len(paths))):
                faults += [fault] if fault else []
                task.advance()
        finally:
            threads.shutdown(cancel_futures=True)
    if faults:
        raise DataError(
            f"`{root}`: {len(faults)} of {len(paths)} image files cannot be used:\n"
            f"{listed(faults)}",
            "replace or remove these files, then prepare the data set anew",
        )


def verify_images(root: Path, paths: Sequence[str], reporter: Reporter) -> None:
    """Decode all files on every core, so that a broken one is known before anything builds on it.

    Raises:
        DataError: as `decode_all`.
    """
    decode_all(root, paths, _discard, "checking images", reporter, os.cpu_count() or 1)


def _discard(index: int, image: Image.Image) -> None:
    """Want nothing of an image but that it decodes."""


def decode(file: Path) -> Image.Image:
    """Return an image file as 8-bit RGB, decoded in full.

    Alpha is dropped, grey repeated, 16 bits scaled to 8; EXIF rotation is not applied, as the
    benchmarks' figures were made without it.

    Raises:
        DataError: what is wrong with the file, without its name.
    """
    if not file.is_file():
        raise DataError("no such file")
    try:
        with Image.open(file, formats=FORMATS) as image:
            return _to_rgb(image)
    except UnidentifiedImageError as error:
        what = "empty" if file.stat().st_size == 0 else "neither a JPEG nor a PNG image"
        raise DataError(what) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError("declares too many pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(str(error)) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        samples = np.asarray(image, dtype=np.int64).clip(0, 65535)
        return Image.fromarray((samples // 257).astype(np.uint8)).convert("RGB")
    image.load()
    return image.convert("RGB")
