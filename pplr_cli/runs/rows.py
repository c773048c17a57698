"""The figures of an epoch as one flat row: a line of `metrics.jsonl` (docs/records.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pplr_cli.engine.epoch import Epoch
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.retrieval.published import RANKS
from pplr_cli.retrieval.ranking import Scores

Row = dict[str, Any]
Rows = Sequence[Row]

PERCENTILES = (10, 25, 50, 75, 90)
"""Of the agreement of each part, over the images."""
STAGES = ("extract", "label", "train", "evaluate")
"""The stages that an epoch's time is recorded for; `seconds_<stage>_<part>` are parts of them."""


TOGETHER = {
    "mAP": {"rank1"},
    "clusters": {
        *("images", "outliers", "cluster_size_median", "cluster_size_max", "agreement_mean"),
        *("outlier_share", "largest_cluster_share", "learning_rate"),
    },
    "camera_nmi": {"single_camera_share"},
}
"""Figures that a row with another one has too."""


def flat_row(epoch: Epoch, scores: Scores | None, health: Mapping[str, float] | None = None) -> Row:
    """Return an epoch's figures under flat names; shares and scores from 0 to 1.

    None of them depends on the identity of a training image.
    """
    row: Row = {"epoch": epoch.number}
    if epoch.pseudo is not None:
        row |= _label_figures(epoch.pseudo) | {"learning_rate": epoch.rate}
    row |= health or {}
    row |= epoch.losses
    row |= {f"seconds_{stage}": round(value, 3) for stage, value in epoch.seconds.items()}
    if scores is not None:
        row |= {"mAP": scores.mAP, "mINP": scores.mINP}
        row |= {f"rank{k}": scores.rank(k) for k in RANKS}
    return row


def _label_figures(pseudo: PseudoLabels) -> Row:
    """Return the figures of the pseudo-labels."""
    row: Row = {
        "images": len(pseudo.labels),
        "clusters": pseudo.clusters,
        "outliers": pseudo.outliers,
        "cluster_size_median": float(np.median(pseudo.sizes)),
        "cluster_size_max": int(pseudo.sizes.max()),
        "agreement_mean": float(pseudo.agreement.mean()),
    }
    if pseudo.recall is not None:
        row["search_recall"] = pseudo.recall
    if pseudo.tracks is not None:
        row["tracks"] = pseudo.tracks
    for number, scores in enumerate(pseudo.agreement.T, start=1):
        row[f"agreement_part{number}_mean"] = float(scores.mean())
        for percent, value in zip(PERCENTILES, np.percentile(scores, PERCENTILES), strict=True):
            row[f"agreement_part{number}_p{percent}"] = float(value)
    return row


def scored(rows: Rows) -> list[Row]:
    """Return the rows of the evaluated epochs."""
    return [row for row in rows if "mAP" in row]


def best_row(rows: Rows) -> Row | None:
    """Return the first row of the highest mAP, the start included; None if none was evaluated."""
    return max(scored(rows), key=lambda row: row["mAP"], default=None)


def when(row: Row) -> str:
    """Return when a row was recorded: before training, or after its epoch."""
    return f"after epoch {row['epoch']}" if row["epoch"] else "before training"


def stage_seconds(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the time of each stage of an epoch."""
    return {stage: row[f"seconds_{stage}"] for stage in STAGES if f"seconds_{stage}" in row}
