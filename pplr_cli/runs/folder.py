"""The run folder: who may use it, and what a run writes into it."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pplr_cli.config.fields import Config, LoggerName, Mode
from pplr_cli.engine.checkpoint import previous
from pplr_cli.engine.epoch import Epoch
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.files import TEMPORARY, locked, write_text
from pplr_cli.runs.default_folder import CONFIG as CONFIG
from pplr_cli.runs.labels import LABELS, save_labels
from pplr_cli.runs.machine import describe
from pplr_cli.runs.rows import Row, Rows
from pplr_cli.runs.status import STATUS, write_status
from pplr_cli.text import csv_text

ENVIRONMENT, LOG, LOCK = "environment.json", "log.txt", ".lock"
ANSWERS, REVIEW = "answers-used.csv", "review.html"
METRICS, TABLE, REPORT = "metrics.jsonl", "metrics.csv", "report.html"
BEST, LAST, STATE = "best.pth", "last.pth", "state.pt"
PREVIOUS, DAMAGED = previous(Path(STATE)).name, "state.damaged.pt"
OWN = {
    *(CONFIG, ENVIRONMENT, STATUS, LOG, LOCK, METRICS, TABLE, REPORT, LABELS, BEST, LAST, STATE),
    *(PREVIOUS, DAMAGED, ANSWERS, REVIEW, *LoggerName),
}
"""Everything that a run writes; nothing else is ever deleted."""
NEEDED = {CONFIG, ENVIRONMENT, STATUS, LOG, BEST, LAST, PREVIOUS}
"""Files that a run cannot do without."""


def check_folder(path: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a folder that a run must not use.

    Raises:
        UsageError: it contains other files (allowed for a run that is resumed), or a run that is
            neither resumed nor overwritten.
    """
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    names = {name for name in names if not name.endswith(TEMPORARY)} - {LOCK}
    if not names:
        return
    marks = {STATUS, STATE, PREVIOUS} if resume else {STATUS}
    if not names & marks or (names - OWN and not resume):
        foreign = ", ".join(f"`{name}`" for name in sorted(names - OWN)[:3]) or "an unknown run"
        raise UsageError(f"`{path}`: the folder contains {foreign}", "choose another --run-dir")
    if blocked := [path / name for name in sorted(names & NEEDED) if (path / name).is_dir()]:
        what = "move it away: the run writes a file of that name"
        raise UsageError(f"`{blocked[0]}`: is a folder", what)
    if not (overwrite or resume):
        raise UsageError(
            f"`{path}`: the folder already contains a run",
            "continue it with --resume, delete it with --overwrite, or choose another --run-dir; a "
            "finished run takes more epochs with --resume and `--set optim.epochs=N`",
        )


@contextmanager
def locked_folder(path: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """Reserve a run folder for this process while the block runs; create it if it is missing.

    If nothing was written into it, a folder that was created is removed again.

    Raises:
        PplrError: another process trains in it.
        UsageError: as `check_folder`.
    """

    def refuse() -> None:
        raise PplrError(
            f"`{path}`: another pplr trains in this folder ({lock.read_text() or 'starting'})",
            "wait until it ends, or choose another --run-dir",
        )

    check_folder(path, overwrite=True, resume=resume)  # before anything is written into it
    created = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    lock = path / LOCK
    try:
        with locked(lock, refuse) as file:
            check_folder(path, overwrite=overwrite, resume=resume)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
    finally:
        with suppress(OSError):  # they are in use
            for folder in created:
                folder.rmdir()


def _clean(path: Path, *, everything: bool) -> None:
    """Delete unfinished files of killed processes, or everything that a run wrote."""
    for stray in list(path.rglob(f"*{TEMPORARY}")):
        stray.unlink(missing_ok=True)
    if not everything:
        return
    own = [path / name for name in OWN - {LOCK} if (path / name).exists()]
    for entry in sorted(own, key=lambda entry: entry.name == STATUS):  # it marks a run: last
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@dataclass
class RunFolder:
    """Writes the files of a run; each of them is complete at every moment."""

    path: Path  # the folder, locked
    config: Config  # the resolved settings
    mode: Mode
    origin: Mapping[str, Any]  # of the run: further entries of `environment.json`
    resumed: InitVar[Rows | None] = None  # its rows; None for a new run, which deletes an earlier
    rows: list[Row] = field(init=False)  # the figures of each epoch, of which records are made

    def __post_init__(self, resumed: Rows | None) -> None:
        self.rows = list(resumed or [])
        self.path.mkdir(parents=True, exist_ok=True)
        _clean(self.path, everything=resumed is None)
        environment = {**describe(), **self.origin}
        settings = yaml.safe_dump(self.config.document(), sort_keys=False)
        header = f"# pplr {environment['pplr']} {self.mode}, resolved settings\n"
        write_status(self.path, "running")  # first: it marks the folder as a run's
        write_text(self.path / CONFIG, header + settings)
        write_text(self.path / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")

    @property
    def about(self) -> dict[str, Any]:
        """What each state and weights file records of the run."""
        return {"mode": self.mode, "settings": self.config.document()}

    def write_records(self, epoch: Epoch) -> None:
        """Write all rows to `metrics.jsonl` and `metrics.csv`, and the epoch's labels."""
        write_text(self.path / METRICS, "".join(json.dumps(row) + "\n" for row in self.rows))
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        table = [[row.get(key) for key in columns] for row in self.rows]
        write_text(self.path / TABLE, csv_text(columns, table))
        if epoch.pseudo is not None:
            save_labels(self.path, epoch.number, epoch.pseudo)
