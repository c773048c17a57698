"""Ranked results as pictures: each row shows a query and its nearest images.

Right and wrong matches differ in colour, frame (solid, dashed) and mark (tick, cross).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image as Picture

from pplr_cli.data.decode import decode
from pplr_cli.errors import DataError
from pplr_cli.report import style

GAP, WIDE_GAP, TITLE, CAPTION, HEADING = 12, 36, 30, 20, 24
"""Pixels between images, after the query, for the title, below an image, above a row."""
DPI = 100


class Look(NamedTuple):
    """Colour, frame and mark of an image."""

    colour: str
    line: str | tuple[int, tuple[int, ...]]
    mark: str


RIGHT = Look(style.RIGHT, "-", "\N{CHECK MARK} ")
WRONG = Look(style.WRONG, (0, (2, 1)), "\N{BALLOT X} ")
QUERY = Look("#000000", "-", "")
LOOKS = {True: RIGHT, False: WRONG, None: Look("#888888", "-", "")}
"""By whether the image shows the query's identity."""
LEGEND = f"{RIGHT.mark}same identity   {WRONG.mark}other identity   number: distance"


class Match(NamedTuple):
    """An image, its distance, and whether it shows the query's identity (None = unknown)."""

    file: Path
    distance: float
    right: bool | None = None


class Result(NamedTuple):
    """A row: the query, the heading above it, and its matches, nearest first."""

    query: Path
    heading: str
    matches: Sequence[Match]


def draw_ranked(
    results: Sequence[Result],
    path: Path,
    title: str = "",
    *,
    height: int = 128,
    upright: bool = False,
) -> None:
    """Draw one row for each result.

    Args:
        results: one or more.
        path: the file to write, `.png` or `.pdf`.
        title: above the rows.
        height: of an image in pixels; all images get the shape of the first query.
        upright: whether EXIF rotation is applied, as for the network.

    Raises:
        DataError: an image cannot be decoded.
    """
    first = _open(results[0].query, upright)
    size = (round(height * first.width / first.height), height)
    columns = max(len(result.matches) for result in results)
    width = GAP + size[0] + WIDE_GAP + columns * (size[0] + GAP)
    above = TITLE if title else 0
    row = HEADING + height + CAPTION + GAP
    figure = Figure((width / DPI, (above + len(results) * row) / DPI), dpi=DPI, facecolor="white")
    axes = _pixel_axes(figure)
    _write(axes, GAP, above / 2, title, size=11, weight="bold", ha="left")
    if title and any(match.right is not None for match in results[0].matches):
        _write(axes, width - GAP, above / 2, LEGEND, ha="right")
    for number, result in enumerate(results):
        _draw_row(axes, result, above + number * row, size, upright)
    style.save(figure, path)


def _pixel_axes(figure: Figure) -> Axes:
    """Return axes in pixels, from the top left corner of the figure."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    width, height = figure.bbox.size
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return axes


def _draw_row(axes: Axes, result: Result, top: int, size: tuple[int, int], upright: bool) -> None:
    _write(axes, GAP, top + HEADING / 2, result.heading, ha="left")
    _draw_image(axes, _open(result.query, upright), QUERY, "query", (GAP, top + HEADING), size)
    for rank, match in enumerate(result.matches):
        left = GAP + size[0] + WIDE_GAP + rank * (size[0] + GAP)
        look, image = LOOKS[match.right], _open(match.file, upright)
        caption = f"{look.mark}{match.distance:.2f}"
        _draw_image(axes, image, look, caption, (left, top + HEADING), size)


def _draw_image(
    axes: Axes,
    image: Picture.Image,
    look: Look,
    caption: str,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Draw an image without interpolation, with a frame and a caption."""
    left, top = corner
    pixels = np.asarray(image.resize(size, Picture.Resampling.LANCZOS))
    place = (left, left + size[0], top + size[1], top)
    axes.imshow(pixels, extent=place, interpolation="none", aspect="auto")
    frame = Rectangle(
        (left - 1.5, top - 1.5), size[0] + 3, size[1] + 3, fill=False, edgecolor=look.colour,
        linewidth=2.5, linestyle=look.line,
    )  # fmt: skip
    axes.add_patch(frame)
    _write(axes, left + size[0] / 2, top + size[1] + CAPTION / 2 + 2, caption, color=look.colour)


def _write(
    axes: Axes, x: float, y: float, text: str, *, size: int = 9, ha: str = "center", **style: Any
) -> None:
    """Write a line of plain text: names may contain any character."""
    plain = text.encode(errors="backslashreplace").decode()
    axes.text(x, y, plain, size=size, ha=ha, va="center", parse_math=False, **style)


def _open(file: Path, upright: bool) -> Picture.Image:
    try:
        return decode(file, upright=upright)
    except DataError as error:
        raise DataError(f"`{file}`: {error.message}", error.hint) from error
