"""The style of matplotlib figures, fonts for names, and saving figures as PNG or PDF."""

from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font

from pplr_cli.files import atomic_write
from pplr_cli.text import printable

RIGHT, WRONG = "#0072B2", "#D55E00"
"""Blue and vermilion (Okabe and Ito), distinct in every common colour blindness."""

FAMILY = "DejaVu Sans"
"""Comes with matplotlib."""
BOXES = "Last Resort"
"""A font that has a box for every character."""
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "image.composite_image": False,
    "pdf.fonttype": 42,
}
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png"},
    ".pdf": {"format": "pdf", "metadata": {"CreationDate": None}},
}


class Written(NamedTuple):
    """A line of text, and the fonts that have its characters: names of families, and files."""

    text: str
    families: list[str]
    files: list[str]

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield the parts that one font file has: (file, text)."""
        for file, run in groupby(self.text, self._file):
            yield file, "".join(run)

    def _file(self, character: str) -> str:
        have = (file for file in self.files if ord(character) in _characters(file))
        return next(have, self.files[0])


@cache
def written(text: str) -> Written:
    """Return a name in a form that can be drawn, whatever its script.

    Installed fonts supply what the usual one lacks; characters of no font become escapes.
    """
    text = printable(text).replace("\n", " ")
    families, files = [FAMILY], [f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf"]
    missing = {ord(character) for character in text} - _characters(files[0])
    for font in fontManager.ttflist if missing else ():
        plain = (font.style, font.weight) == ("normal", 400) and BOXES not in font.name
        if plain and missing & _characters(font.fname):
            missing -= _characters(font.fname)
            families.append(font.name)
            files.append(font.fname)
    escapes = {code: chr(code).encode("ascii", "backslashreplace").decode() for code in missing}
    return Written(text.translate(escapes), families, files)


@cache
def _characters(font: str) -> frozenset[int]:
    """Return the characters of a font file."""
    return frozenset(FT2Font(font).get_charmap())


def save(figure: Figure, path: Path) -> None:
    """Write a figure to `path` in the format of its suffix (`.png`, `.pdf`)."""
    with mpl.rc_context(STYLE), atomic_write(path) as file:
        figure.savefig(file, **FORMATS[path.suffix])
