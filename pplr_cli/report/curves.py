"""Charts of an evaluation: the CMC curve and the histograms of distances."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pplr_cli.report import style
from pplr_cli.retrieval.published import RANKS
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.retrieval.separation import Separation

SIZE = (4.2, 3.1)
DPI = 200
SHOWN_RANKS = 20
BARS = 100
"""Bins of a drawn histogram; the counted ones are finer."""


def draw_cmc(scores: Scores, path: Path, name: str) -> None:
    """Draw the share of queries with a match among the first k images, for k up to 20.

    Args:
        scores: of an evaluation.
        path: the file to write, `.png` or `.pdf`.
        name: of the data set.
    """
    values = 100 * scores.cmc[:SHOWN_RANKS]
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=SIZE, layout="constrained", dpi=DPI)
        axes = figure.subplots()
        axes.plot(range(1, len(values) + 1), values, color=style.RIGHT, marker="o", markersize=3)
        for rank in RANKS:
            text, place = f"rank-{rank}: {values[rank - 1]:.1f}", (rank, values[rank - 1])
            axes.annotate(text, place, (4, -11), textcoords="offset points")
        axes.set_title(f"{name}: CMC, mAP {100 * scores.mAP:.1f}, {scores.queries:,} queries")
        axes.set(xlabel="rank k", ylabel="queries matched within rank k (%)")
        axes.set_ylim(max(0, values[0] - max(5, 0.2 * (100 - values[0]))), 101)
        axes.set_xticks([1, *range(5, SHOWN_RANKS + 1, 5)])
        axes.grid(alpha=0.25)
        style.save(figure, path)


def draw_separation(separation: Separation, path: Path, name: str, *, rerank: bool) -> None:
    """Draw the distances of pairs of the same and of different identities, and the threshold.

    Args:
        separation: the counted pairs.
        path: the file to write, `.png` or `.pdf`.
        name: of the data set.
        rerank: whether the distances are re-ranked ones.
    """
    s = separation
    below = f"below {s.threshold:.2f}"
    same = f"same identity: {100 * s.same_below:.1f} % {below}"
    different = f"different: {100 * s.different_below:.1f} % {below}"
    edges = s.edges[:: len(s.same) // BARS]
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=SIZE, layout="constrained", dpi=DPI)
        axes = figure.subplots()
        for counts, label, colour, hatch in (
            (s.same, same, style.RIGHT, None),
            (s.different, different, style.WRONG, "////"),
        ):
            look: dict[str, Any] = {"facecolor": (colour, 0.3), "edgecolor": colour, "hatch": hatch}
            axes.stairs(_percent(counts), edges, fill=True, label=label, **look)
        axes.axvline(s.threshold, color="black", linestyle="--", linewidth=1.2)
        figure.suptitle(
            f"{name}: {s.same.sum():,} pairs of one identity, {s.different.sum():,} of two"
        )
        axes.set(xlabel=f"{'re-ranked' if rerank else 'Euclidean'} distance", ylabel="pairs (%)")
        axes.set_xlim(*_shown(s))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
        style.save(figure, path)


def _percent(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return counts as percentages of their sum, in `BARS` bins."""
    bars: NDArray[np.int64] = counts.reshape(BARS, -1).sum(1)
    return np.asarray(100 * bars / max(1, int(bars.sum())))


def _shown(separation: Separation) -> tuple[float, float]:
    """Return the range of the distances."""
    present = np.flatnonzero(separation.same + separation.different)
    edges = separation.edges
    margin = 0.02 * separation.limit
    low, high = (edges[present[0]], edges[present[-1] + 1]) if len(present) else edges[[0, -1]]
    return max(0.0, float(low) - margin), min(separation.limit, float(high) + margin)
