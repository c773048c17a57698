"""A run folder read back: all that the report is made from, beside the training images."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pplr_cli.runs.folder import CONFIG, ENVIRONMENT, METRICS
from pplr_cli.runs.status import read_status

FINISHED, UNFINISHED = "finished", "unfinished"


@dataclass(frozen=True)
class Records:
    """What a run wrote down, whatever became of it.

    Attributes:
        path: the run folder.
        mode: `train` or `train-cam`.
        settings: the resolved settings as plain values.
        environment: versions, devices, environment variables.
        rows: the lines of `metrics.jsonl`.
        state: `running`, `interrupted`, `failed`, `finished`; `unfinished` where nobody wrote it
            down.
        reason: why the run failed or was interrupted.
        updated: when the last line was written, UTC.
    """

    path: Path
    mode: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, Any]]
    state: str
    reason: str
    updated: str

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Read a run folder; `OSError` or `ValueError` where it holds no run."""
        text = (path / CONFIG).read_text(encoding="utf-8")
        named = re.match(r"# pplr \S+ ([\w-]+)", text)
        settings = yaml.safe_load(text)
        metrics = path / METRICS
        lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
        rows = [json.loads(line) for line in lines]
        state, reason = _state(path, rows, settings["optim"]["epochs"])
        seen = (metrics if lines else path / CONFIG).stat().st_mtime
        return cls(
            path=path,
            mode=named[1] if named else "train",
            settings=settings,
            environment=json.loads((path / ENVIRONMENT).read_text(encoding="utf-8")),
            rows=rows,
            state=state,
            reason=reason,
            updated=datetime.fromtimestamp(seen, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows of the epochs that trained: all but epoch 0."""
        return [row for row in self.rows if "clusters" in row]

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        words = ["pplr", self.mode, "--preset", str(self.path / CONFIG)]
        return shlex.join([*words, "--run-dir", f"{self.path}-again"])

    @property
    def flat_settings(self) -> dict[str, Any]:
        """Every setting by its dotted key."""
        return dict(_flat(self.settings, ""))


def _state(path: Path, rows: list[dict[str, Any]], epochs: int) -> tuple[str, str]:
    """Return the state of a run and the reason for it, from `status.json` if that is there."""
    status = read_status(path)
    if "state" in status:
        return str(status["state"]), str(status.get("reason") or "")
    done = bool(rows) and rows[-1]["epoch"] >= epochs
    return (FINISHED if done else UNFINISHED), ""


def _flat(block: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in block.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs
