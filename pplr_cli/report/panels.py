"""The charts of the report, by section, from the rows of a run."""

from collections.abc import Mapping
from typing import NamedTuple

from pplr_cli.data.images import ImageSet
from pplr_cli.report.charts import Chart, band_chart, line_chart, series, stack_chart
from pplr_cli.report.label_quality import label_quality
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.records import Run
from pplr_cli.runs.rows import Rows


class Lines(NamedTuple):
    """A line chart: its curves by key of the rows, their scale, and values that its axis shows."""

    title: str
    curves: Mapping[str, str]
    scale: float = 1.0
    shown: tuple[float, ...] = ()


RETRIEVAL = [Lines("mAP and rank-1 (%)", {"mAP": "mAP", "rank1": "rank-1"}, 100)]
HEALTH = [
    Lines("clusters", {"clusters": "clusters"}),
    Lines("tracks that were clustered", {"tracks": "tracks"}),
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
        shown=(0.5,),
    ),
    Lines("approximate search", {"search_recall": "recall of the neighbours"}, shown=(1.0,)),
    Lines("agreement with the previous clusters (ARI)", {"previous_ari": "ARI"}, shown=(1.0,)),
]
QUALITY = [
    Lines("pairs of images", {"precision": "precision", "recall": "recall"}, shown=(1.0,)),
    Lines("groupings", {"nmi": "NMI", "ari": "ARI"}, shown=(1.0,)),
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
        "seconds_extract": "features",
        "seconds_label": "labelling",
        "seconds_train": "training",
        "seconds_evaluate": "evaluation",
    },
    "labelling (s)": {
        "seconds_label_knn": "nearest neighbours",
        "seconds_label_jaccard": "Jaccard distances",
        "seconds_label_camera_jaccard": "camera-aware Jaccard distances",
        "seconds_label_dbscan": "DBSCAN",
        "seconds_label_hdbscan": "HDBSCAN",
        "seconds_label_infomap": "Infomap",
        "seconds_label_tracks": "tracks",
        "seconds_label_agreement": "agreement",
        "seconds_label_surroundings": "explanation",
    },
    "training steps (s)": {
        "seconds_train_data": "augmentation",
        "seconds_train_network": "network",
        "seconds_train_losses": "losses",
        "seconds_train_update": "gradients, update",
        "seconds_train_wait": "waiting",
    },
}


def draw_panels(run: Run, images: ImageSet) -> dict[str, list[Chart]]:
    """Return the charts of each section; those without data are left out."""
    epochs = run.epochs
    panels = {
        "retrieval": _lines(RETRIEVAL, run.rows),
        "health": _lines(HEALTH, epochs),
        "agreement": _agreement(epochs, run.config.model.parts),
        "quality": _lines(QUALITY, _quality(run, images)),
        "losses": _lines(LOSSES, epochs),
        "times": [stack_chart(title, epochs, keys) for title, keys in TIMES.items()],
    }
    return {name: [each for each in charts if each.curves] for name, charts in panels.items()}


def _lines(charts: list[Lines], rows: Rows) -> list[Chart]:
    return [
        line_chart(title, [series(rows, key, curves[key], scale) for key in curves], *shown)
        for title, curves, scale, shown in charts
    ]


def _agreement(epochs: Rows, parts: int) -> list[Chart]:
    """Return a chart of each part, on one scale."""
    kept = [row for row in epochs if "agreement_part1_p50" in row]
    names = [f"agreement_part{number}" for number in range(1, parts + 1)]
    low = min((row[f"{name}_p10"] for row in kept for name in names), default=0.0)
    high = max((row[f"{name}_p90"] for row in kept for name in names), default=1.0)
    titles = [f"part {number}" for number in range(1, parts + 1)]
    if parts > 1:
        titles[0], titles[-1] = f"{titles[0]} (top)", f"{titles[-1]} (bottom)"
    pairs = zip(titles, names, strict=True)
    return [band_chart(title, kept, name, low, high) for title, name in pairs if kept]


def _quality(run: Run, images: ImageSet) -> Rows:
    """Compare the labels of each epoch with the identities, if they are known."""
    rows = []
    for row in run.epochs if images.has_identities else []:
        arrays = read_labels(run.path, row["epoch"], len(images), "labels")
        if arrays:
            quality = label_quality(arrays["labels"], images.identities)
            rows.append({"epoch": row["epoch"]} | quality)
    return rows
