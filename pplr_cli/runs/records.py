"""A run folder read back: settings, environment, figures and state."""

import json
import math
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.library import open_dataset
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.progress import Reporter
from pplr_cli.runs.default_folder import similar_run
from pplr_cli.runs.folder import BEST, CONFIG, ENVIRONMENT, LAST, METRICS, REPORT
from pplr_cli.runs.labels import epoch_labels
from pplr_cli.runs.lines import outcome_line
from pplr_cli.runs.rows import TOGETHER, Row, best_row, stage_seconds
from pplr_cli.runs.status import read_status

FINISHED, UNFINISHED = "finished", "unfinished"
MOST_EPOCHS = 1_000_000
OTHER_DATA = "the run used another data set of that name: name its folder with --data-dir"


@dataclass(frozen=True)
class Run:
    """The records and results of a run; each file is read when it is first needed."""

    path: Path  # the run folder

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved settings as plain values.

        Raises:
            UsageError: there is no such folder, it contains no run, or its settings are not YAML.
        """
        if not (self.path / CONFIG).is_file():
            home = next((each for each in self.path.parents if (each / CONFIG).is_file()), None)
            home = home or similar_run(self.path)
            there = f"not a run folder (`{CONFIG}` is missing)"
            hint = "name the folder that `pplr train` wrote, such as `runs/market-train`"
            raise UsageError(
                f"`{self.path}`: {there if self.path.exists() else 'no such folder'}",
                hint if home is None else f"did you mean `{home}`?",
            )
        return presets.read(self.path / CONFIG)

    @cached_property
    def config(self) -> Config:
        """The resolved settings; `UsageError` if they are not valid."""
        return presets.restore(self.settings, str(self.path / CONFIG))

    @cached_property
    def mode(self) -> str:
        """`train` or `train-cam`."""
        header = (self.path / CONFIG).read_text(encoding="utf-8", errors="replace")
        named = re.match(r"# pplr \S+ (train-cam|train)\b", header)
        return named[1] if named else "train"

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, devices, environment variables, command; empty if they cannot be read."""
        try:
            found = json.loads((self.path / ENVIRONMENT).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def rows(self) -> list[Row]:
        """The lines of `metrics.jsonl`; `DataError` if one is not a row of figures."""
        file = self.path / METRICS
        rows = []
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            row = _figures(line)
            if row is None:
                raise DataError(
                    f"`{file}:{number}`: not the figures of an epoch",
                    "restore the file, or resume the run, which writes it anew",
                )
            rows.append(row)
        return rows

    @property
    def epochs(self) -> list[Row]:
        """The rows of the trained epochs: all but epoch 0."""
        return [row for row in self.rows if "clusters" in row]

    @cached_property
    def state(self) -> str:
        """`running`, `interrupted`, `failed` or `finished`; `unfinished` if unknown."""
        if "state" in (status := read_status(self.path)):
            return str(status["state"])
        done = bool(self.rows) and self.rows[-1]["epoch"] >= self.config.optim.epochs
        return FINISHED if done else UNFINISHED

    @property
    def reason(self) -> str:
        """Why the run failed or was interrupted; else empty."""
        return str(read_status(self.path).get("reason") or "")

    @property
    def updated(self) -> str:
        """The time of the last record in UTC, as ISO 8601."""
        file = self.path / (METRICS if self.rows else CONFIG)
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    @property
    def device(self) -> str:
        """The processor or the GPUs of the run; empty if they were not recorded."""
        return str(self.environment.get("device") or "")

    @property
    def auto(self) -> frozenset[str]:
        """The dotted keys of the settings whose numbers `auto` chose; empty if not recorded."""
        keys = self.environment.get("auto")
        return frozenset(map(str, keys)) if isinstance(keys, list) else frozenset()

    @property
    def seconds(self) -> float:
        """The time of all recorded stages, those before a resume included."""
        return sum(sum(stage_seconds(row).values()) for row in self.rows)

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        words = ["pplr", self.mode, "--preset", str(self.path / CONFIG)]
        return shlex.join([*words, "--run-dir", f"{self.path}-again"])

    @property
    def evaluated(self) -> bool:
        """Whether the data set has labels to evaluate with."""
        return (self.path / BEST).is_file()

    @property
    def weights(self) -> Path:
        """`best.pth` of a run that was evaluated, else `last.pth`."""
        return self.path / (BEST if self.evaluated else LAST)

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.path / REPORT

    def labels(self, epoch: int | None = None) -> PseudoLabels:
        """Return the pseudo-labels of the training images in an epoch; by default the last one.

        Raises:
            UsageError: there are no labels of that epoch.
        """
        return epoch_labels(self.path, epoch, self.config.model.parts).pseudo

    def summary(self) -> list[str]:
        """Return the result in three lines: scores, weights, report."""
        scores = outcome_line(self.rows) if self.rows else "no figures could be recorded"
        best, weights = best_row(self.rows), f"weights: {self.weights}"
        if best is not None and best["epoch"] == 0 and self.epochs:
            trained = self.path / LAST
            weights += f" (those before training, as no epoch raised the mAP; trained: {trained})"
        return [scores, weights, f"report: {self.report}"]

    def open_data(self, data_dir: Path | None, reporter: Reporter) -> Manifest:
        """Open the data set of the run: its labels are in the order of these images.

        Args:
            data_dir: the data folder; by default that of the run, if it still exists.
            reporter: gets progress and warnings.

        Raises:
            DataError: there is no such data set, or its digest is not the recorded one.
        """
        used = Path(str(self.environment.get("data_dir") or ""))
        if data_dir is None and used.is_absolute() and used.is_dir():
            data_dir = used
        manifest = open_dataset(self.config.data.name, env.data_dir(data_dir), reporter)
        if self.environment.get("data_digest") not in (None, manifest.digest):
            raise DataError(
                f"`{self.path}`: the data set `{manifest.name}` in `{manifest.root}` is not that "
                "of the run",
                OTHER_DATA,
            )
        return manifest


def _figures(line: str) -> Row | None:
    """Return a complete row of finite numbers; None if the line is something else."""
    try:
        row = json.loads(line)
        valid = isinstance(row["epoch"], int) and row["epoch"] in range(MOST_EPOCHS)
        valid = valid and all(math.isfinite(each) for each in row.values())
        needed = (others for key, others in TOGETHER.items() if key in row)
        valid = valid and all(row.keys() >= others for others in needed)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return row if valid else None
