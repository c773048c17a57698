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

GAP, WIDE_GAP, TITLE, LINE, HEADING = 12, 36, 30, 14, 24
"""Pixels between images, after the query, for the title, for a line below an image, above a row."""
DPI = 100
LONGEST = 13
"""Characters of a line below an image."""


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
    """An image, its distance, whether it shows the query's identity (None = unknown), camera."""

    file: Path
    distance: float
    right: bool | None = None
    camera: str = ""


class Result(NamedTuple):
    """A row: the query, the heading above it, and its matches, nearest first.

    `first` is the first right match, and its rank, if it is not among the matches.
    """

    query: Path
    heading: str
    matches: Sequence[Match]
    camera: str = ""
    first: tuple[int, Match] | None = None


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
    width = _left(columns, size[0])
    if any(result.first for result in results):
        width = _left(columns + 1, size[0]) + WIDE_GAP - GAP
    above = TITLE if title else 0
    row = HEADING + height + 3 * LINE + GAP
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


def _left(rank: int, width: int) -> int:
    """Return the left side of the image at a rank, from 0."""
    return GAP + width + WIDE_GAP + rank * (width + GAP)


def _draw_row(axes: Axes, result: Result, top: int, size: tuple[int, int], upright: bool) -> None:
    _write(axes, GAP, top + HEADING / 2, result.heading, ha="left")
    top += HEADING
    query = _open(result.query, upright)
    _draw_image(axes, query, QUERY, ["query", result.camera], (GAP, top), size)
    for rank, match in enumerate(result.matches):
        _draw_match(axes, match, [], (_left(rank, size[0]), top), size, upright)
    if result.first is not None:
        rank, match = result.first
        left = _left(len(result.matches), size[0]) + WIDE_GAP - GAP
        _draw_match(axes, match, [f"rank {rank:,}"], (left, top), size, upright)


def _draw_match(
    axes: Axes,
    match: Match,
    notes: list[str],
    corner: tuple[int, int],
    size: tuple[int, int],
    upright: bool,
) -> None:
    look, image = LOOKS[match.right], _open(match.file, upright)
    lines = [f"{look.mark}{match.distance:.2f}", match.camera, *notes]
    _draw_image(axes, image, look, lines, corner, size)


def _draw_image(
    axes: Axes,
    image: Picture.Image,
    look: Look,
    lines: list[str],
    corner: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Draw an image without interpolation, with a frame and lines below it."""
    left, top = corner
    pixels = np.asarray(image.resize(size, Picture.Resampling.LANCZOS))
    place = (left, left + size[0], top + size[1], top)
    axes.imshow(pixels, extent=place, interpolation="none", aspect="auto")
    frame = Rectangle(
        (left - 1.5, top - 1.5), size[0] + 3, size[1] + 3, fill=False, edgecolor=look.colour,
        linewidth=2.5, linestyle=look.line,
    )  # fmt: skip
    axes.add_patch(frame)
    below = top + size[1] + 4
    for number, text in enumerate(style.written(line).text for line in lines if line):
        short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
        y = below + (number + 0.5) * LINE
        _write(axes, left + size[0] / 2, y, short, size=8 if number else 9, color=look.colour)


def _write(
    axes: Axes, x: float, y: float, text: str, *, size: int = 9, ha: str = "center", **more: Any
) -> None:
    """Write a line of plain text; names may contain any character."""
    plain, families, _ = style.written(text)
    more |= {"family": families, "size": size, "ha": ha, "va": "center"}
    axes.text(x, y, plain, parse_math=False, **more)


def _open(file: Path, upright: bool) -> Picture.Image:
    try:
        return decode(file, upright=upright)
    except DataError as error:
        raise DataError(f"`{file}`: {error.message}", error.hint) from error
