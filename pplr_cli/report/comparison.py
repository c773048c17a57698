"""A page that compares runs: curves over each other, differing settings, spread over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

from pplr_cli.report.charts import Chart, line_chart, series
from pplr_cli.report.page import templates
from pplr_cli.runs.comparison import Comparison
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


def render_comparison(comparison: Comparison) -> str:
    """Return the page, which needs no other file."""
    charts = draw_comparison(comparison.runs)
    page = templates().get_template("comparison.html")
    return printable(page.render(comparison=comparison, charts=charts))
