"""Several runs side by side: outcomes, the settings that differ, mean and spread over seeds."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pplr_cli.config.document import flat
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.runs.folder import ANSWERS, CONFIG
from pplr_cli.runs.records import Run
from pplr_cli.runs.rows import best_row, scored
from pplr_cli.weights.digest import file_sha256

IGNORED = {"seed", "title"}
"""Settings that do not set runs apart."""
FIGURES = ("mAP", "best_mAP", "rank1", "clusters", "outlier_share")
"""Figures of an outcome that are averaged over seeds; shares and scores from 0 to 1."""
Outcome = dict[str, Any]


class Group(NamedTuple):
    """Runs that differ in the seed alone."""

    name: str  # the settings that set the group apart from the others
    runs: list[str]  # the names of one or more run folders
    # mean and standard deviation (0 for one run) of each figure that all runs have
    figures: dict[str, tuple[float, float]]

    def percent(self, figure: str) -> str:
        """Return mean and standard deviation in percent; empty if not all runs have the figure."""
        mean, spread = self.figures.get(figure, (None, 0.0))
        if mean is None:
            return ""
        return f"{100 * mean:.1f}" + (f" ± {100 * spread:.1f}" if len(self.runs) > 1 else "")


class Comparison(NamedTuple):
    """Runs compared."""

    runs: list[Run]  # two or more
    outcomes: list[Outcome]  # state and figures of each run
    # the settings that differ, other than the seed, with the value of each run; `mode` is the
    # command, `data.digest` the content of the data set, `answers` that of the answers; "36 (auto)"
    # was chosen by `auto`, which is the same setting in all runs that have it
    differences: dict[str, list[Any]]
    # the runs grouped by all settings but the seed, in order of their first run
    groups: list[Group]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Comparison":
        """Compare the runs in these folders.

        Raises:
            UsageError: a folder contains no run, or cannot be read, or there are fewer than two.
        """
        runs = [Run(path) for path in dict.fromkeys(paths)]
        if len(runs) < 2:
            raise UsageError("a comparison needs at least two runs", "`pplr runs` lists them")
        settings = [_settings(run) for run in runs]
        outcomes = [outcome(run) for run in runs]
        for one in outcomes:
            if one["problem"]:
                raise UsageError(one["problem"], "leave this run out")
        different = _differences(settings, [run.auto for run in runs])
        return cls(runs, outcomes, different, _groups(outcomes, different))


def find_runs(folder: Path) -> list[Run]:
    """Return the runs in a folder, by name.

    Raises:
        UsageError: the folder does not exist, or contains no run.
    """
    if not folder.is_dir():
        raise UsageError(f"`{folder}`: no such folder", "name a folder that contains run folders")
    runs = [Run(each.parent) for each in sorted(folder.glob(f"*/{CONFIG}"))]
    if not runs and (folder / CONFIG).is_file():
        command = shlex.join(["pplr", "runs", str(folder.resolve().parent)])
        raise UsageError(f"`{folder}`: is itself a run folder", f"`{command}` lists it")
    if not runs:
        raise UsageError(
            f"`{folder}`: contains no run folder", "`pplr train --preset demo` writes one"
        )
    return runs


def outcome(run: Run) -> Outcome:
    """Return state and figures of a run; None for those it does not have.

    A damaged run folder does not raise: `problem` says what is wrong.
    """
    about: Outcome = {"run": str(run.path), "problem": None}
    try:
        config = run.config
        return {
            **about,
            "state": run.state,
            "mode": run.mode,
            "data": config.data.name,
            "seed": config.seed,
            "epochs": config.optim.epochs,
            "updated": run.updated,
            **_figures(run),
        }
    except (PplrError, OSError) as error:
        return about | {"state": "damaged", "problem": str(error)}


def _figures(run: Run) -> Outcome:
    rows, evaluated, best = run.rows, scored(run.rows), best_row(run.rows)
    last = run.epochs[-1] if run.epochs else {}
    return {
        "epoch": rows[-1]["epoch"] if rows else 0,
        "start_mAP": evaluated[0]["mAP"] if evaluated else None,
        "mAP": evaluated[-1]["mAP"] if evaluated else None,
        "rank1": evaluated[-1]["rank1"] if evaluated else None,
        "best_mAP": best["mAP"] if best else None,
        "best_epoch": best["epoch"] if best else None,
        "clusters": last.get("clusters"),
        "outlier_share": last.get("outlier_share"),
        "seconds": round(run.seconds, 1),
    }


def _settings(run: Run) -> dict[str, Any]:
    """Return what sets a run apart, by dotted key."""
    settings = {key: value for key, value in flat(run.settings).items() if key not in IGNORED}
    digest = str(run.environment.get("data_digest") or "")[:12]
    file = run.path / ANSWERS
    answers = file_sha256(file)[:12] if file.is_file() else ""
    return {"mode": run.mode, **settings, "data.digest": digest, "answers": answers}


def _differences(
    settings: Sequence[dict[str, Any]], auto: Sequence[frozenset[str]]
) -> dict[str, list[Any]]:
    """Return the settings that differ; numbers that `auto` chose are marked, or left out if all."""
    keys = list(dict.fromkeys(key for one in settings for key in one))
    values = {key: [one.get(key) for one in settings] for key in keys}
    return {
        key: [f"{v} (auto)" if key in own else v for v, own in zip(found, auto, strict=True)]
        for key, found in values.items()
        if any(v != found[0] for v in found) and not all(key in own for own in auto)
    }


def _groups(outcomes: Sequence[Outcome], different: dict[str, list[Any]]) -> list[Group]:
    members: dict[str, list[Outcome]] = {}
    for number, one in enumerate(outcomes):
        values = [f"{key}={found[number]}" for key, found in different.items()]
        members.setdefault(", ".join(values) or "the same settings", []).append(one)
    return [
        Group(name, [one["run"] for one in each], _spread(each)) for name, each in members.items()
    ]


def _spread(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over runs of each figure that all of them have."""
    found = {}
    for figure in FIGURES:
        values = [one[figure] for one in outcomes]
        if None not in values:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            found[figure] = (float(np.mean(values)), spread)
    return found
