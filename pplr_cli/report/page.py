"""`report.html`: a run on one page, drawn from its folder and the training images alone."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pplr_cli.data.manifest import ImageSet
from pplr_cli.files import write_text
from pplr_cli.progress import Reporter, optional
from pplr_cli.report.album import Album, Pixels
from pplr_cli.report.charts import Chart, band_chart, line_chart, series, stack_chart
from pplr_cli.report.label_quality import label_quality
from pplr_cli.runs.folder import REPORT, STAGES, read_labels
from pplr_cli.runs.health import findings
from pplr_cli.runs.records import Records
from pplr_cli.text import printable

Rows = Sequence[dict[str, Any]]

LOSSES = {
    "loss_refinement": "label refinement (PGLR)",
    "loss_triplet": "triplet",
    "loss_part": "parts (AALS)",
    "loss_camera": "camera",
    "loss_camera_part": "camera, parts",
}
TIMES = {"extract": "features", "label": "labelling", "train": "training", "evaluate": "evaluation"}
LABEL_TIMES = {
    "knn": "nearest neighbours",
    "jaccard": "Jaccard distances",
    "dbscan": "DBSCAN",
    "agreement": "agreement",
    "surroundings": "surroundings",
}
STEP_TIMES = {
    "data": "augmentation",
    "network": "network",
    "losses": "losses",
    "update": "gradients, update",
    "wait": "waiting",
}


class Tile(NamedTuple):
    """One large figure."""

    value: str
    label: str


class Report:
    """Keeps the report of a run up to date; never stops the run.

    Args:
        folder: the run folder.
        images: the training images.
        pixels: uint8 [N, H, W, 3].
        reporter: warned if the report cannot be drawn.
    """

    def __init__(self, folder: Path, images: ImageSet, pixels: Pixels, reporter: Reporter) -> None:
        self.images = images
        self._folder, self._pixels, self._reporter = folder, pixels, reporter

    def redraw(self) -> None:
        """Draw what the run folder holds now."""
        with optional(f"`{self._folder / REPORT}`", self._reporter):
            write_report(self._folder, self.images, self._pixels)


def write_report(folder: Path, images: ImageSet, pixels: Pixels) -> Path:
    """Write `report.html` of a run, whatever became of it, and return its path."""
    path = folder / REPORT
    write_text(path, render(Records.read(folder), images, pixels))
    return path


def render(records: Records, images: ImageSet, pixels: Pixels) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("pplr_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    page = environment.get_template("report.html").render(_context(records, images, pixels))
    return printable(page)


def _code(text: str) -> Markup:
    """Return a message as HTML: what stands in backticks is set as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _context(records: Records, images: ImageSet, pixels: Pixels) -> dict[str, Any]:
    rows, epochs, settings = records.rows, records.epochs, records.settings
    shown = epochs[-1]["epoch"] if epochs else 0
    arrays = read_labels(records.path, shown)
    album = Album(images, pixels, arrays, settings["clustering"]) if arrays else None
    found = findings(rows)
    return {
        "records": records,
        "data": settings["data"]["name"],
        "done": rows[-1]["epoch"] if rows else 0,
        "wanted": settings["optim"]["epochs"],
        "images": f"{len(images):,}",
        "parts": settings["model"]["parts"],
        "tiles": _tiles(rows, epochs),
        "findings": found,
        "verdict": _verdict(epochs),
        "fallen": _fallen(rows),
        "epochs": epochs,
        "retrieval": _retrieval(rows),
        "health": _health(epochs) if epochs else [],
        "agreement": _agreement(epochs, settings["model"]["parts"]),
        "shown_epoch": shown,
        "album": album,
        "clusters": album.clusters() if album else [],
        "outliers": album.outliers() if album else [],
        "eps": settings["clustering"]["eps"],
        "min_samples": settings["clustering"]["min_samples"],
        "quality": _quality(records, images),
        "aals_epoch": settings["loss"]["aals_epoch"] + 1,
        "losses": _losses(epochs),
        "times": _times(epochs),
        "on_gpu": bool(records.environment["cuda"]["devices"]),
        "versions": _versions(records.environment),
    }


def _tiles(rows: Rows, epochs: Rows) -> list[Tile]:
    """Return the figures to see first."""
    tiles = []
    scored = [row for row in rows if "mAP" in row]
    if scored:
        first, last = scored[0], scored[-1]
        start = f"mAP in %, from {100 * first['mAP']:.1f} {_after(first)}"
        best = max(scored, key=lambda row: row["mAP"])
        tiles += [
            Tile(f"{100 * last['mAP']:.1f}", start if len(scored) > 1 else "mAP in %"),
            Tile(f"{100 * last['rank1']:.1f}", "rank-1 in %"),
            Tile(f"{100 * best['mAP']:.1f}", f"best mAP in %, {_after(best)}"),
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


def _after(row: dict[str, Any]) -> str:
    return f"after epoch {row['epoch']}" if row["epoch"] else "before training"


def _verdict(epochs: Rows) -> str:
    """Say on what the trust rests where nothing is wrong."""
    if len(epochs) < 2:
        return (
            "Too early to tell: health is judged by its course over the epochs, from the second on."
        )
    last = epochs[-1]
    parts = [f"{100 * last['outlier_share']:.0f} % of the images are outliers"]
    if "single_camera_share" in last:
        share = 100 * last["single_camera_share"]
        parts.insert(0, f"{share:.0f} % of the clusters were seen by one camera only")
    if "previous_ari" in last:
        parts.append(f"the clusters agree with the last epoch's by {last['previous_ari']:.2f} of 1")
    text = f"No sign of trouble, as far as can be told without identities: {', '.join(parts)}."
    if "single_camera_share" not in last:
        text += " Cameras are not known, so clusters that follow the cameras would go unseen."
    return text


def _fallen(rows: Rows) -> str:
    """Say if the labelled test split saw the run get worse."""
    scored = [row["mAP"] for row in rows if "mAP" in row]
    if not scored or scored[-1] >= scored[0]:
        return ""
    return f"The mAP has fallen from {100 * scored[0]:.1f} to {100 * scored[-1]:.1f}"


def _retrieval(rows: Rows) -> list[Chart]:
    curves = [series(rows, "mAP", "mAP", 100), series(rows, "rank1", "rank-1", 100)]
    return [line_chart("mAP and rank-1 (%)", curves)] if curves[0].points else []


def _health(epochs: Rows) -> list[Chart]:
    charts = [
        line_chart("clusters", [series(epochs, "clusters", "clusters")]),
        line_chart(
            "share of images (%)",
            [
                series(epochs, "outlier_share", "outliers", 100),
                series(epochs, "largest_cluster_share", "in the largest cluster", 100),
            ],
        ),
        line_chart(
            "clusters and cameras",
            [
                series(epochs, "single_camera_share", "clusters of one camera only (share)"),
                series(epochs, "camera_nmi", "shared information (0 = chance, 1 = all)"),
            ],
            high=0.5,
        ),
        line_chart(
            "agreement with the last epoch's clusters (ARI)",
            [series(epochs, "previous_ari", "ARI")],
            high=1.0,
        ),
    ]
    return [chart for chart in charts if chart.legend]


def _agreement(epochs: Rows, parts: int) -> list[Chart]:
    """Return one chart a part, on one scale."""
    numbers = range(1, parts + 1)
    kept = [row for row in epochs if "agreement_part1_p50" in row]
    if not kept:
        return []
    low = min(row[f"agreement_part{n}_p10"] for row in kept for n in numbers)
    high = max(row[f"agreement_part{n}_p90"] for row in kept for n in numbers)
    return [
        band_chart(f"part {n}{_where(n, parts)}", kept, f"agreement_part{n}", low, high)
        for n in numbers
    ]


def _where(number: int, parts: int) -> str:
    return {1: " (top)", parts: " (bottom)"}.get(number, "") if parts > 1 else ""


def _quality(records: Records, images: ImageSet) -> list[Chart]:
    """Compare the labels kept of each epoch with the identities, where there are any."""
    if not images.has_identities:
        return []
    rows = []
    for row in records.epochs:
        labels = read_labels(records.path, row["epoch"], "labels").get("labels")
        if labels is not None and len(labels) == len(images):
            rows.append({"epoch": row["epoch"]} | label_quality(labels, images.identities))
    if not rows:
        return []
    pairs = [series(rows, key, key) for key in ("precision", "recall")]
    groups = [series(rows, key, key.upper()) for key in ("nmi", "ari")]
    return [
        line_chart("pairs of images", pairs, high=1.0),
        line_chart("groupings", groups, high=1.0),
    ]


def _losses(epochs: Rows) -> list[Chart]:
    curves = [series(epochs, key, label) for key, label in LOSSES.items()]
    return [
        line_chart("losses", curves),
        line_chart("learning rate", [series(epochs, "learning_rate", "learning rate")]),
    ]


def _times(epochs: Rows) -> list[Chart]:
    groups = {
        "stages (s)": {f"seconds_{stage}": TIMES[stage] for stage in STAGES},
        "labelling (s)": {f"seconds_label_{k}": label for k, label in LABEL_TIMES.items()},
        "training steps (s)": {f"seconds_train_{k}": label for k, label in STEP_TIMES.items()},
    }
    charts = [stack_chart(title, epochs, keys) for title, keys in groups.items()]
    return [chart for chart in charts if chart.legend]


def _versions(environment: dict[str, Any]) -> dict[str, Any]:
    """Return the environment as one flat table."""
    plain = {key: value for key, value in environment.items() if not isinstance(value, dict | list)}
    cpu, cuda = environment["cpu"], environment["cuda"]
    gpus = ", ".join(each["name"] for each in cuda["devices"])
    return {
        **plain,
        **environment["packages"],
        "CPU": f"{cpu['model']}, {cpu['cores']} cores",
        "memory": f"{environment['memory_gb']['total']} GB",
        "GPU": gpus or "none",
    }
