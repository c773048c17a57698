"""Contact sheets: identities of a data set in rows, cameras in columns."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from PIL.Image import Resampling

from pplr_cli.data.decode import decode
from pplr_cli.data.images import UNKNOWN, Image, Names
from pplr_cli.errors import DataError
from pplr_cli.files import atomic_write
from pplr_cli.report.style import written

GAP, HEADER, MARGIN = 4, 18, 40
"""Pixels between crops, above the columns (cameras) and left of the rows (identities)."""
TEXT = 11
"""Size of the names in pixels."""


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
        _write(draw, (MARGIN + x * column, 3), f"camera {names.camera(camera)}")
    for y, identity in enumerate(rows):
        top = HEADER + y * (height + GAP)
        place = (4, top + (height + GAP) // 2 - 8)
        _write(draw, place, names.identity(identity))
        for x, camera in enumerate(cameras):
            for n, image in enumerate(cells[identity].get(camera, [])[:each]):
                picture = decode(root / image.path, upright=upright)
                crop = picture.resize((width, height), Resampling.LANCZOS)
                sheet.paste(crop, (MARGIN + x * column + n * width, top))
    with atomic_write(path) as file:
        sheet.save(file, "PNG", optimize=True)


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], name: str) -> None:
    """Write a name, each part in a font that has its characters."""
    left, top = place
    for file, text in written(name).runs():
        font = ImageFont.truetype(file, TEXT)
        draw.text((left, top + TEXT), text, fill="black", font=font, anchor="ls")
        left += font.getlength(text)


def _cells(images: Sequence[Image]) -> dict[int, dict[int, list[Image]]]:
    """Return the images by identity and camera, in path order."""
    cells: dict[int, dict[int, list[Image]]] = {}
    for image in sorted(images, key=lambda image: image.path):
        if UNKNOWN not in (image.identity, image.camera):
            cells.setdefault(image.identity, {}).setdefault(image.camera, []).append(image)
    return cells
