"""`report.html`: a run on one page, drawn from its folder and the training images."""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from pplr_cli.data.manifest import ImageSet
from pplr_cli.files import write_text
from pplr_cli.labelling.clustering import PRECISION_OR_RECALL, describe
from pplr_cli.progress import Reporter, optional
from pplr_cli.report.album import Album, Pixels
from pplr_cli.report.panels import draw_panels
from pplr_cli.runs.folder import REPORT
from pplr_cli.runs.health import findings, verdict
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.records import Records
from pplr_cli.runs.rows import Rows, best_row, scored, when
from pplr_cli.text import printable


class Tile(NamedTuple):
    """A large figure."""

    value: str
    label: str


class Report:
    """Keeps the report of a run up to date; failures are warnings.

    Args:
        folder: the run folder.
        images: the training images.
        pixels: uint8 [N, H, W, 3].
        reporter: receives the warnings.
    """

    def __init__(self, folder: Path, images: ImageSet, pixels: Pixels, reporter: Reporter) -> None:
        self.images = images
        self._folder, self._pixels, self._reporter = folder, pixels, reporter

    def redraw(self) -> None:
        """Draw the current content of the run folder."""
        with optional(f"`{self._folder / REPORT}`", self._reporter):
            write_report(self._folder, self.images, self._pixels)


def write_report(folder: Path, images: ImageSet, pixels: Pixels) -> Path:
    """Write `report.html` of a run in any state, and return its path."""
    path = folder / REPORT
    write_text(path, render(Records(folder), images, pixels))
    return path


def render(records: Records, images: ImageSet, pixels: Pixels) -> str:
    """Return the page."""
    page = _template().render(_context(records, images, pixels))
    return printable(page)


@cache
def _template() -> Template:
    """Compile the template: once, not after each epoch."""
    environment = Environment(
        loader=PackageLoader("pplr_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("report.html")


def _code(text: str) -> Markup:
    """Return a message as HTML, with code for what is in backticks."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _context(records: Records, images: ImageSet, pixels: Pixels) -> dict[str, Any]:
    rows, epochs, wanted = records.rows, records.epochs, records.config.optim.epochs
    shown = epochs[-1]["epoch"] if epochs else 0
    arrays = read_labels(records.path, shown)
    album = Album(images, pixels, arrays, records.config.clustering) if arrays else None
    return {
        "records": records,
        "config": records.config,
        "done": rows[-1]["epoch"] if rows else 0,
        "images": f"{len(images):,}",
        "tiles": _tiles(rows, epochs),
        "findings": findings(rows, wanted),
        "verdict": verdict(rows, wanted),
        "epochs": epochs,
        "shown_epoch": shown,
        "album": album,
        "clusters": album.clusters() if album else [],
        "outliers": album.outliers() if album else [],
        "on_gpu": bool(records.environment.get("cuda", {}).get("devices")),
        "panels": draw_panels(records, images),
        "clustering": describe(records.config.clustering),
        "precision_or_recall": PRECISION_OR_RECALL,
    }


def _tiles(rows: Rows, epochs: Rows) -> list[Tile]:
    """Return the most important figures."""
    tiles = []
    evaluated = scored(rows)
    if evaluated:
        first, last = evaluated[0], evaluated[-1]
        start = f"mAP in %, from {100 * first['mAP']:.1f} {when(first)}"
        best = best_row(rows) or last
        tiles += [
            Tile(f"{100 * last['mAP']:.1f}", start if len(evaluated) > 1 else "mAP in %"),
            Tile(f"{100 * last['rank1']:.1f}", "rank-1 in %"),
            Tile(f"{100 * best['mAP']:.1f}", f"best mAP in %, {when(best)}"),
        ]
    if epochs:
        last = epochs[-1]
        share = f"outliers, {100 * last['outliers'] / last['images']:.1f} % of the images"
        size = f"clusters, {last['cluster_size_median']:g} images each (median)"
        tiles += [
            Tile(f"{last['clusters']:,}", size),
            Tile(f"{last['outliers']:,}", share),
            Tile(f"{last['agreement_mean']:.2f}", "mean cross agreement"),
        ]
    return tiles
