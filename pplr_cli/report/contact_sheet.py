"""Contact sheets: identities of a data set in rows, cameras in columns."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw
from PIL.Image import Resampling

from pplr_cli.data.decode import decode
from pplr_cli.data.manifest import UNKNOWN, Image, Names
from pplr_cli.errors import DataError
from pplr_cli.files import atomic_write
from pplr_cli.text import printable

GAP, HEADER, MARGIN = 4, 18, 40
"""Pixels between crops, above the columns (cameras) and left of the rows (identities)."""


def contact_sheet(
    images: Sequence[Image],
    root: Path,
    path: Path,
    *,
    people: int = 8,
    height: int = 96,
    each: int = 1,
    upright: bool = False,
    names: Names | None = None,
) -> None:
    """Write a PNG with rows of identities and columns of cameras.

    Identities seen by the most cameras come first. Images without identity or camera are left out.

    Args:
        images: records of a data set, or some of them (`Manifest.images`).
        root: folder that the paths are relative to.
        path: the PNG to write.
        people: largest number of rows.
        height: height of a cell in pixels; the width follows the first image.
        each: crops in a cell, side by side.
        upright: whether EXIF rotation is applied to the crops.
        names: the user's names of identities and cameras.
    """
    cells = _cells(images)
    rows = sorted(cells, key=lambda identity: (-len(cells[identity]), identity))[:people]
    cameras = sorted({camera for identity in rows for camera in cells[identity]})
    if not rows:
        raise DataError("no image has both an identity and a camera: nothing to draw")
    first = next(iter(cells[rows[0]].values()))[0]
    picture = decode(root / first.path, upright=upright)
    width = round(height * picture.width / picture.height)
    column = each * width + GAP
    size = (MARGIN + len(cameras) * column, HEADER + len(rows) * (height + GAP))
    sheet = Picture.new("RGB", size, "white")
    draw, names = ImageDraw.Draw(sheet), names or Names()
    for x, camera in enumerate(cameras):
        title = printable(f"camera {names.camera(camera)}")
        draw.text((MARGIN + x * column, 3), title, fill="black")
    for y, identity in enumerate(rows):
        top = HEADER + y * (height + GAP)
        place = (4, top + (height + GAP) // 2 - 8)
        draw.text(place, printable(names.identity(identity)), fill="black")
        for x, camera in enumerate(cameras):
            for n, image in enumerate(cells[identity].get(camera, [])[:each]):
                picture = decode(root / image.path, upright=upright)
                crop = picture.resize((width, height), Resampling.LANCZOS)
                sheet.paste(crop, (MARGIN + x * column + n * width, top))
    with atomic_write(path) as file:
        sheet.save(file, "PNG", optimize=True)


def _cells(images: Sequence[Image]) -> dict[int, dict[int, list[Image]]]:
    """Return the images by identity and camera, in path order."""
    cells: dict[int, dict[int, list[Image]]] = {}
    for image in sorted(images, key=lambda image: image.path):
        if UNKNOWN not in (image.identity, image.camera):
            cells.setdefault(image.identity, {}).setdefault(image.camera, []).append(image)
    return cells
