"""The run folder: settings, environment, one line of metrics an epoch, log, labels."""

import csv
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pplr_cli.config import Config, Mode
from pplr_cli.engine.labels import PseudoLabels
from pplr_cli.engine.trainer import Epoch
from pplr_cli.errors import UsageError
from pplr_cli.files import atomic_write, write_text
from pplr_cli.report.machine import describe
from pplr_cli.retrieval.ranking import Scores

CONFIG, ENVIRONMENT, LOG = "config.yaml", "environment.json", "log.txt"
METRICS, TABLE, REPORT, LABELS = "metrics.jsonl", "metrics.csv", "report.html", "labels"
BEST, LAST, BOARD = "best.pth", "last.pth", "tensorboard"
OWN = {CONFIG, ENVIRONMENT, LOG, METRICS, TABLE, REPORT, LABELS, BEST, LAST, BOARD}
"""All that a run folder holds; nothing else is ever deleted."""
REPORTED_RANKS = (1, 5, 10)
PERCENTILES = (10, 25, 50, 75, 90)
"""Of the agreement of each part, over the images."""
STAGES = ("extract", "label", "train", "evaluate")
"""What an epoch's time goes into; `seconds_<stage>_<part>` are parts of these."""


class RunFolder:
    """Writes what a run leaves behind; every file is whole at every moment.

    Args:
        path: the folder; refused if it holds a run, unless `overwrite`, which empties it of one.
        config: the resolved settings.
        mode: `train` or `train-cam`.
        overwrite: whether an earlier run may be deleted.

    Raises:
        UsageError: the folder holds a run, or other files.
    """

    def __init__(self, path: Path, config: Config, mode: Mode, *, overwrite: bool) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self._clear(overwrite)
        path.mkdir(parents=True, exist_ok=True)
        self.about = {"mode": mode, "settings": config.document()}
        environment = describe()
        settings = yaml.safe_dump(config.document(), sort_keys=False)
        header = f"# pplr {environment['pplr']} {mode}, resolved settings\n"
        write_text(path / CONFIG, header + settings)
        write_text(path / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")

    def open_log(self) -> IO[str]:
        """Open `log.txt` for writing."""
        return (self.path / LOG).open("w", encoding="utf-8", errors="backslashreplace")

    def record(
        self, epoch: Epoch, scores: Scores | None, health: Mapping[str, float] | None = None
    ) -> dict[str, Any]:
        """Write the epoch's line to `metrics.jsonl` and `metrics.csv`, and its labels."""
        row = flat_row(epoch, scores, health or {})
        self.rows.append(row)
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_text(self.path / METRICS, lines)
        write_text(self.path / TABLE, _as_csv(self.rows))
        if epoch.pseudo is not None:
            self._save_labels(epoch.number, epoch.pseudo)
        return row

    def _save_labels(self, number: int, pseudo: PseudoLabels) -> None:
        with atomic_write(labels_file(self.path, number)) as file:
            np.savez_compressed(file, **pseudo.arrays())  # type: ignore[arg-type]

    def _clear(self, overwrite: bool) -> None:
        """Make sure that the folder is empty; delete an earlier run if that is wanted."""
        names = {entry.name for entry in self.path.iterdir()} if self.path.exists() else set()
        if not names:
            return
        if not names >= {CONFIG, ENVIRONMENT} or names - OWN:
            foreign = ", ".join(f"`{name}`" for name in sorted(names - OWN)[:3]) or "an unknown run"
            raise UsageError(
                f"`{self.path}`: the folder holds {foreign}", "choose another --run-dir"
            )
        if not overwrite:
            raise UsageError(
                f"`{self.path}`: the folder holds a run already",
                "choose another --run-dir, or delete that run with --overwrite",
            )
        shutil.rmtree(self.path)


def labels_file(run: Path, epoch: int) -> Path:
    """Return where the pseudo-labels of an epoch are kept (`PseudoLabels.arrays`)."""
    return run / LABELS / f"epoch-{epoch:03d}.npz"


def read_labels(run: Path, epoch: int, *names: str) -> dict[str, NDArray[Any]]:
    """Return an epoch's arrays (all, or those named), without those that were not kept."""
    path = labels_file(run, epoch)
    if not path.is_file():
        return {}
    with np.load(path) as arrays:
        return {name: arrays[name] for name in names or arrays.files if name in arrays}


def flat_row(
    epoch: Epoch, scores: Scores | None, health: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return an epoch's figures under flat names (docs/records.md); shares and scores from 0 to 1.

    No identity of a training image is behind any of them.
    """
    row: dict[str, Any] = {"epoch": epoch.number}
    if epoch.pseudo is not None:
        row |= _labels_row(epoch.pseudo)
        row |= {"learning_rate": epoch.rate}
    row |= health or {}
    row |= epoch.losses
    row |= {f"seconds_{stage}": round(value, 3) for stage, value in epoch.seconds.items()}
    if scores is not None:
        row |= {"mAP": scores.mAP, "mINP": scores.mINP}
        row |= {f"rank{k}": scores.rank(k) for k in REPORTED_RANKS}
    return row


def _labels_row(pseudo: PseudoLabels) -> dict[str, Any]:
    """Return the figures of the pseudo-labels."""
    row = {
        "images": len(pseudo.labels),
        "clusters": pseudo.clusters,
        "outliers": pseudo.outliers,
        "cluster_size_median": float(np.median(pseudo.sizes)),
        "cluster_size_max": int(pseudo.sizes.max()),
        "agreement_mean": float(pseudo.agreement.mean()),
    }
    for number, scores in enumerate(pseudo.agreement.T, start=1):
        row[f"agreement_part{number}_mean"] = float(scores.mean())
        for percent, value in zip(PERCENTILES, np.percentile(scores, PERCENTILES), strict=True):
            row[f"agreement_part{number}_p{percent}"] = float(value)
    return row


def stage_seconds(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the time of each stage of an epoch's row."""
    return {stage: row[f"seconds_{stage}"] for stage in STAGES if f"seconds_{stage}" in row}


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows with differing keys as one CSV table, keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
