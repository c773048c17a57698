"""The charts of the report, by section, from the rows of a run."""

from collections.abc import Mapping
from typing import NamedTuple

from pplr_cli.data.manifest import ImageSet
from pplr_cli.report.charts import Chart, band_chart, line_chart, series, stack_chart
from pplr_cli.report.label_quality import label_quality
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.records import Records
from pplr_cli.runs.rows import Rows


class Lines(NamedTuple):
    """A line chart: its curves by key of the rows, their scale, and a value that its axis shows."""

    title: str
    curves: Mapping[str, str]
    scale: float = 1.0
    high: float | None = None


RETRIEVAL = [Lines("mAP and rank-1 (%)", {"mAP": "mAP", "rank1": "rank-1"}, 100)]
HEALTH = [
    Lines("clusters", {"clusters": "clusters"}),
    Lines(
        "share of images (%)",
        {"outlier_share": "outliers", "largest_cluster_share": "in the largest cluster"},
        100,
    ),
    Lines(
        "clusters and cameras",
        {
            "single_camera_share": "clusters of one camera only (share)",
            "camera_nmi": "shared information (0 = chance, 1 = all)",
        },
        high=0.5,
    ),
    Lines("agreement with the previous clusters (ARI)", {"previous_ari": "ARI"}, high=1.0),
]
QUALITY = [
    Lines("pairs of images", {"precision": "precision", "recall": "recall"}, high=1.0),
    Lines("groupings", {"nmi": "NMI", "ari": "ARI"}, high=1.0),
]
LOSSES = [
    Lines(
        "losses",
        {
            "loss_refinement": "label refinement (PGLR)",
            "loss_triplet": "triplet",
            "loss_part": "parts (AALS)",
            "loss_camera": "camera",
            "loss_camera_part": "camera, parts",
        },
    ),
    Lines("learning rate", {"learning_rate": "learning rate"}),
]
TIMES: dict[str, dict[str, str]] = {
    "stages (s)": {
        "extract": "features",
        "label": "labelling",
        "train": "training",
        "evaluate": "evaluation",
    },
    "labelling (s)": {
        "label_knn": "nearest neighbours",
        "label_jaccard": "Jaccard distances",
        "label_dbscan": "DBSCAN",
        "label_tracks": "tracks",
        "label_agreement": "agreement",
        "label_surroundings": "explanation",
    },
    "training steps (s)": {
        "train_data": "augmentation",
        "train_network": "network",
        "train_losses": "losses",
        "train_update": "gradients, update",
        "train_wait": "waiting",
    },
}


def draw_panels(records: Records, images: ImageSet) -> dict[str, list[Chart]]:
    """Return the charts of each section; those without data are left out."""
    epochs = records.epochs
    return {
        "retrieval": _lines(RETRIEVAL, records.rows),
        "health": _lines(HEALTH, epochs),
        "agreement": _agreement(epochs, records.config.model.parts),
        "quality": _lines(QUALITY, _quality(records, images)),
        "losses": _lines(LOSSES, epochs),
        "times": _times(epochs),
    }


def _lines(charts: list[Lines], rows: Rows) -> list[Chart]:
    drawn = [
        line_chart(title, [series(rows, key, curves[key], scale) for key in curves], high=high)
        for title, curves, scale, high in charts
    ]
    return [chart for chart in drawn if chart.legend]


def _agreement(epochs: Rows, parts: int) -> list[Chart]:
    """Return a chart of each part, on one scale."""
    numbers = range(1, parts + 1)
    kept = [row for row in epochs if "agreement_part1_p50" in row]
    if not kept:
        return []
    low = min(row[f"agreement_part{n}_p10"] for row in kept for n in numbers)
    high = max(row[f"agreement_part{n}_p90"] for row in kept for n in numbers)
    where = {1: " (top)", parts: " (bottom)"} if parts > 1 else {}
    return [
        band_chart(f"part {n}{where.get(n, '')}", kept, f"agreement_part{n}", low, high)
        for n in numbers
    ]


def _quality(records: Records, images: ImageSet) -> Rows:
    """Compare the labels of each epoch with the identities, if they are known."""
    if not images.has_identities:
        return []
    rows = []
    for row in records.epochs:
        labels = read_labels(records.path, row["epoch"], "labels").get("labels")
        if labels is not None and len(labels) == len(images):
            rows.append({"epoch": row["epoch"]} | label_quality(labels, images.identities))
    return rows


def _times(epochs: Rows) -> list[Chart]:
    charts = [
        stack_chart(title, epochs, {f"seconds_{key}": label for key, label in keys.items()})
        for title, keys in TIMES.items()
    ]
    return [chart for chart in charts if chart.legend]
