"""The style of matplotlib figures, and saving them atomically as PNG or PDF."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from pplr_cli.files import atomic_write

RIGHT, WRONG = "#0072B2", "#D55E00"
"""Blue and vermilion (Okabe and Ito), distinct in every common colour blindness."""

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


def save(figure: Figure, path: Path) -> None:
    """Write a figure to `path` in the format of its suffix (`.png`, `.pdf`)."""
    with mpl.rc_context(STYLE), warnings.catch_warnings(), atomic_write(path) as file:
        warnings.simplefilter("ignore")  # characters that the font lacks
        figure.savefig(file, **FORMATS[path.suffix])
