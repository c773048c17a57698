"""`report.html`: a run on one page, drawn from its folder and the training images."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pplr_cli.config.document import flat
from pplr_cli.data.compact import Images
from pplr_cli.data.images import ImageSet
from pplr_cli.files import write_text
from pplr_cli.labelling.clustering import PRECISION_OR_RECALL, describe
from pplr_cli.progress import Reporter, optional
from pplr_cli.report.album import Album
from pplr_cli.report.charts import number
from pplr_cli.report.panels import draw_panels
from pplr_cli.runs.folder import REPORT
from pplr_cli.runs.health import findings, verdict
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.records import Run
from pplr_cli.runs.rows import best_row, scored, when
from pplr_cli.text import printable
from pplr_cli.timing import clock, to_minute


def update_report(folder: Path, images: ImageSet, pixels: Images, reporter: Reporter) -> None:
    """Write `report.html` of a run in any state; a failure is a warning.

    Args:
        folder: the run folder.
        images: the training images.
        pixels: uint8 [N, H, W, 3].
        reporter: receives the warning.
    """
    with optional(f"`{folder / REPORT}`", reporter):
        write_text(folder / REPORT, render(Run(folder), images, pixels))


def render(run: Run, images: ImageSet, pixels: Images) -> str:
    """Return the page."""
    epochs, wanted = run.epochs, run.config.optim.epochs
    shown = epochs[-1]["epoch"] if epochs else 0
    arrays = read_labels(run.path, shown, len(images))
    tracked = arrays is not None and "nearest" not in arrays
    page = (
        templates()
        .get_template("report.html")
        .render(
            run=run,
            config=run.config,
            images=f"{len(images):,}",
            scored=scored(run.rows),
            best=best_row(run.rows),
            findings=findings(run.rows, wanted),
            verdict=verdict(run.rows, wanted),
            epochs=epochs,
            shown_epoch=shown,
            album=Album(images, pixels, arrays, run.config.clustering) if arrays else None,
            panels=draw_panels(run, images),
            clustering=describe(run.config.clustering, tracked=tracked),
            precision_or_recall=PRECISION_OR_RECALL,
        )
    )
    return printable(page)


@cache
def templates() -> Environment:
    """Return the templates, each of which is compiled once."""
    environment = Environment(
        loader=PackageLoader("pplr_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"clock": clock, "code": _code, "flat": flat, "number": number}
    filters |= {"to_minute": to_minute, "when": when}
    environment.filters |= filters
    return environment


def _code(text: str) -> Markup:
    """Return a message as HTML, with code for what is in backticks."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))
