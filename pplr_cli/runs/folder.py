"""The run folder: settings, environment, one line of metrics an epoch, log, labels, states."""

import csv
import io
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pplr_cli.config.fields import Config, Mode
from pplr_cli.engine.checkpoint import previous
from pplr_cli.engine.epoch import Epoch
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.files import TEMPORARY, atomic_write, locked, write_text
from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.retrieval.published import RANKS
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.runs.machine import describe
from pplr_cli.runs.status import STATUS, write_status

CONFIG, ENVIRONMENT, LOG, LOCK = "config.yaml", "environment.json", "log.txt", ".lock"
METRICS, TABLE, REPORT, LABELS = "metrics.jsonl", "metrics.csv", "report.html", "labels"
BEST, LAST, STATE, BOARD = "best.pth", "last.pth", "state.pt", "tensorboard"
PREVIOUS, DAMAGED = previous(Path(STATE)).name, "state.damaged.pt"
OWN = {
    *(CONFIG, ENVIRONMENT, STATUS, LOG, LOCK, METRICS, TABLE, REPORT, LABELS, BEST, LAST, BOARD),
    *(STATE, PREVIOUS, DAMAGED),
}
"""All that a run folder holds; nothing else is ever deleted."""
PERCENTILES = (10, 25, 50, 75, 90)
"""Of the agreement of each part, over the images."""
STAGES = ("extract", "label", "train", "evaluate")
"""What an epoch's time goes into; `seconds_<stage>_<part>` are parts of these."""


def check_folder(path: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a folder that a run must not use.

    Raises:
        UsageError: it holds other files (beside a run that is resumed they may stay), or a run
            that is neither resumed nor overwritten.
    """
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    names = {name for name in names if not name.endswith(TEMPORARY)} - {LOCK}
    if not names:
        return
    known = STATUS in names
    if not known or (names - OWN and not resume):
        foreign = ", ".join(f"`{name}`" for name in sorted(names - OWN)[:3]) or "an unknown run"
        raise UsageError(f"`{path}`: the folder holds {foreign}", "choose another --run-dir")
    if not (overwrite or resume):
        raise UsageError(
            f"`{path}`: the folder holds a run already",
            "continue it with --resume, delete it with --overwrite, or choose another --run-dir",
        )


@contextmanager
def locked_folder(path: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """Keep a run folder to this process while the block runs; it is made where there is none.

    Raises:
        PplrError: another process trains there.
        UsageError: as `check_folder`.
    """

    def refuse() -> None:
        raise PplrError(
            f"`{path}`: another pplr trains there ({lock.read_text() or 'just starting'})",
            "wait for it to end, or choose another --run-dir",
        )

    check_folder(path, overwrite=True, resume=resume)  # before anything is written there
    path.mkdir(parents=True, exist_ok=True)
    lock = path / LOCK
    with locked(lock, refuse) as file:
        check_folder(path, overwrite=overwrite, resume=resume)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _tidy(path: Path, *, everything: bool) -> None:
    """Remove what killed processes left unfinished, or all that a run left; nothing else."""
    for stray in list(path.rglob(f"*{TEMPORARY}")):
        stray.unlink(missing_ok=True)
    if not everything:
        return
    own = [path / name for name in OWN - {LOCK} if (path / name).exists()]
    for entry in sorted(own, key=lambda entry: entry.name == STATUS):  # what tells a run goes last
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


class RunFolder:
    """Writes what a run leaves behind; every file is whole at every moment.

    Args:
        path: the folder, locked.
        config: the resolved settings.
        mode: `train` or `train-cam`.
        origin: kept in `environment.json`: the `command` that gives the same run, its `data_dir`
            and the data set's `data_digest`.
        rows: those of the run that is resumed; None = a new run, an earlier one is deleted.

    Attributes:
        rows: one flat row of figures for each recorded epoch; what all records are made of.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        mode: Mode,
        origin: Mapping[str, str],
        rows: list[dict[str, Any]] | None = None,
    ) -> None:
        self.path = path
        self.rows = list(rows or [])
        path.mkdir(parents=True, exist_ok=True)
        _tidy(path, everything=rows is None)
        self.about: dict[str, Any] = {"mode": mode, "settings": config.document()}
        environment = {**describe(), **origin}
        settings = yaml.safe_dump(config.document(), sort_keys=False)
        header = f"# pplr {environment['pplr']} {mode}, resolved settings\n"
        write_status(path, "running")  # first: by it the folder is known as that of a run
        write_text(path / CONFIG, header + settings)
        write_text(path / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")

    def open_log(self) -> IO[str]:
        """Open `log.txt` for writing, behind what it holds."""
        return (self.path / LOG).open("a", encoding="utf-8", errors="backslashreplace")

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the trained network with the highest mAP, the first of equals."""
        return best_row(self.rows)

    def add(
        self, epoch: Epoch, scores: Scores | None, health: Mapping[str, float] | None = None
    ) -> dict[str, Any]:
        """Add an epoch to the rows and return its row."""
        self.rows.append(flat_row(epoch, scores, health or {}))
        return self.rows[-1]

    def write_records(self, epoch: Epoch) -> None:
        """Write all rows to `metrics.jsonl` and `metrics.csv`, and the epoch's labels."""
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_text(self.path / METRICS, lines)
        write_text(self.path / TABLE, _as_csv(self.rows))
        if epoch.pseudo is not None:
            self._save_labels(epoch.number, epoch.pseudo)

    def _save_labels(self, number: int, pseudo: PseudoLabels) -> None:
        with atomic_write(labels_file(self.path, number)) as file:
            np.savez_compressed(file, **pseudo.arrays())  # type: ignore[arg-type]


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


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first row of the highest mAP since training began, None where there is none."""
    scored = [row for row in rows if row["epoch"] and "mAP" in row]
    return max(scored, key=lambda row: row["mAP"]) if scored else None


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
        row |= {f"rank{k}": scores.rank(k) for k in RANKS}
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
