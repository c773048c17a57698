"""Pages about several runs: a list with links to the reports, and a comparison with curves."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pplr_cli.report.charts import Chart, line_chart, series
from pplr_cli.report.page import templates
from pplr_cli.runs.comparison import Comparison, Outcome
from pplr_cli.runs.folder import REPORT
from pplr_cli.runs.records import Run
from pplr_cli.text import printable


class Curve(NamedTuple):
    """A figure to draw: title of the chart, key of the rows, scale."""

    title: str
    key: str
    scale: float = 1.0


CURVES = (
    Curve("mAP (%)", "mAP", 100),
    Curve("rank-1 (%)", "rank1", 100),
    Curve("clusters", "clusters"),
    Curve("outliers (% of the images)", "outlier_share", 100),
    Curve("clusters of one camera only (%)", "single_camera_share", 100),
    Curve("mean cross agreement", "agreement_mean"),
)


def draw_comparison(runs: Sequence[Run]) -> list[Chart]:
    """Return a chart of each figure that a run has, with a curve for each run."""
    charts = [
        line_chart(title, [series(run.rows, key, run.path.name, scale) for run in runs])
        for title, key, scale in CURVES
    ]
    return [chart for chart in charts if chart.curves]


def render_runs(outcomes: Sequence[Outcome], folder: Path, page: Path) -> str:
    """Return a page that lists runs and links to their reports, relative to the page."""
    template, links = templates().get_template("runs.html"), _links(outcomes, page)
    return printable(template.render(outcomes=outcomes, folder=folder, links=links))


def render_comparison(comparison: Comparison, page: Path) -> str:
    """Return the page, which needs no other file, but links to the reports of the runs."""
    charts, links = draw_comparison(comparison.runs), _links(comparison.outcomes, page)
    template = templates().get_template("comparison.html")
    return printable(template.render(comparison=comparison, charts=charts, links=links))


def _links(outcomes: Iterable[Outcome], page: Path) -> dict[str, str]:
    """Return the links from a page to the reports that exist, by run."""
    reports = {one["run"]: Path(one["run"], REPORT) for one in outcomes}
    return {
        run: quote(os.path.relpath(report.resolve(), page.resolve().parent))
        for run, report in reports.items()
        if report.is_file()
    }
