"""Contact sheets: a few people of a data set, one a row, as each camera sees them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw

from pplr_cli.data.manifest import UNKNOWN, Image
from pplr_cli.files import atomic_write

GAP, HEADER, MARGIN = 4, 18, 40
"""Pixels between crops, above the columns (camera numbers) and left of the rows (identities)."""


def contact_sheet(
    images: Sequence[Image],
    root: Path,
    path: Path,
    *,
    people: int = 8,
    height: int = 96,
    each: int = 1,
) -> None:
    """Write a PNG with rows of identities and columns of cameras.

    People seen by the most cameras come first. A cell stays empty where a camera has not seen the
    person; images without identity or camera are left out.

    Args:
        images: records of a data set or of a part of it (`Manifest.images`).
        root: folder that the records' paths are relative to.
        path: the PNG to write.
        people: largest number of rows.
        height: height of a cell in pixels; the width follows the first image.
        each: crops of a person by a camera, side by side.
    """
    cells = _cells(images)
    rows = sorted(cells, key=lambda identity: (-len(cells[identity]), identity))[:people]
    cameras = sorted({camera for identity in rows for camera in cells[identity]})
    if not rows:
        raise DataError("no image has both an identity and a camera", NO_SHEET)
    width = _width(root / cells[rows[0]][cameras[0]][0].path, height)
