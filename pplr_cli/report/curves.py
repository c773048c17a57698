"""A run's course as one picture: retrieval, clusters, agreement and losses over the epochs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pplr_cli.files import atomic_write

Rows = list[dict[str, Any]]

LOSSES = {
    "loss_refinement": "label refinement",
    "loss_triplet": "triplet",
    "loss_part": "part",
    "loss_camera": "camera",
    "loss_camera_part": "camera, parts",
}


def draw_curves(rows: Rows, path: Path, title: str) -> None:
    """Draw the rows of `metrics.jsonl` to a PNG."""
    panels: list[Callable[[Axes, Rows], None]] = [_clusters, _agreement, _losses]
    if any("mAP" in row for row in rows):
        panels.insert(0, _retrieval)
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(3.1 * len(panels), 2.9), layout="constrained", dpi=130)
        for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
            panel(axes, rows)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(title)
        with atomic_write(path) as file:
            figure.savefig(file, format="png")


def _line(axes: Axes, rows: Rows, key: str, label: str, scale: float = 1.0) -> None:
    points = [(row["epoch"], row[key] * scale) for row in rows if key in row]
    axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)


def _retrieval(axes: Axes, rows: Rows) -> None:
    _line(axes, rows, "mAP", "mAP", 100)
    _line(axes, rows, "rank1", "rank-1", 100)
    axes.set_title("retrieval (%)")
    axes.legend(frameon=False)


def _clusters(axes: Axes, rows: Rows) -> None:
    _line(axes, rows, "clusters", "clusters")
    _line(axes, rows, "outliers", "outlier images")
    axes.set_ylim(bottom=0)
    axes.set_title("pseudo-labels")
    axes.legend(frameon=False)


def _agreement(axes: Axes, rows: Rows) -> None:
    _line(axes, rows, "agreement_mean", "mean over images and parts")
    axes.set_ylim(0, 1)
    axes.set_title("cross agreement")


def _losses(axes: Axes, rows: Rows) -> None:
    for key, label in LOSSES.items():
        if any(key in row for row in rows):
            _line(axes, rows, key, label)
    axes.set_title("losses")
    axes.legend(frameon=False)
