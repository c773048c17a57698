"""Decodes every image once, so that a broken file is known before anything builds on it."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pplr_cli.data.trees import listed
from pplr_cli.errors import DataError
from pplr_cli.progress import Reporter

FORMATS = ("JPEG", "PNG")
"""What image files may hold, whatever their suffix says."""


def verify_images(root: Path, paths: Sequence[str], reporter: Reporter) -> None:
    """Decode all images fully, in parallel threads.

    Headers that declare more pixels than Pillow's limit (89 million) are refused before decoding.

    Raises:
        DataError: files that cannot be decoded, listed together.
    """
    broken: list[str] = []
    files = [root / path for path in paths]
    with (
        warnings.catch_warnings(),
        reporter.task("checking images", len(paths), "images") as task,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            for path, fault in zip(paths, threads.map(_fault, files), strict=True):
                if fault is not None:
                    broken.append(f"{path}: {fault}")
                task.advance()
        finally:
            threads.shutdown(cancel_futures=True)
    if broken:
        message = f"`{root}`: {len(broken)} of {len(paths)} image files cannot be used"
        hint = "replace these files, or fetch the data set anew"
        raise DataError(f"{message}:\n{listed(broken)}", hint)


def _fault(file: Path) -> str | None:
    """Return what is wrong with an image file; None if it decodes."""
    if not file.is_file():
        return "no such file"
    try:
        with Image.open(file, formats=FORMATS) as image:
            image.load()
    except UnidentifiedImageError:
        return "empty" if file.stat().st_size == 0 else "neither a JPEG nor a PNG image"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "declares too many pixels"
    except (OSError, ValueError, SyntaxError) as error:
        return str(error)
    return None
