"""Checks before a saved state is resumed: settings, data, environment."""

import hashlib
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import torch

from pplr_cli.config import presets
from pplr_cli.config.document import flat
from pplr_cli.config.fields import Config, Mode
from pplr_cli.data.manifest import Manifest
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import load_state, newest_state
from pplr_cli.errors import DataError, StateError, UsageError
from pplr_cli.labelling.constraints import Answers
from pplr_cli.progress import Reporter
from pplr_cli.runs.default_folder import EPOCHS, FREE, similar_run
from pplr_cli.runs.folder import ANSWERS, CONFIG, DAMAGED, LAST, PREVIOUS, STATE
from pplr_cli.runs.machine import device_name
from pplr_cli.runtime import Runtime

PACKAGES = ("torch", "numpy", "numba", "scipy", "scikit-learn", "pillow")
"""The packages that compute; another version may round differently."""
EXACT = {"processes", "precision"}
"""Facts whose change gives different numbers, not only different rounding."""


def facts(manifest: Manifest, images: TrainingImages, runtime: Runtime) -> dict[str, Any]:
    """Return what the bits of a run depend on besides its settings, as plain values."""
    pixels = images.store.digest(images.cameras)
    return {
        "data": hashlib.sha256((manifest.digest + pixels).encode()).hexdigest(),
        "processes": runtime.processes.size,
        "precision": runtime.precision,
        "device": device_name(runtime.device),
        "threads": torch.get_num_threads(),
        **{name: version(name) for name in PACKAGES},
        **({} if images.answers is None else {"answers": _digest(images.answers)}),
    }


def _digest(answers: Answers) -> str:
    pairs = hashlib.sha256(answers.same.tobytes())
    pairs.update(answers.different.tobytes())
    return pairs.hexdigest()


def find_state(folder: Path, source: Path | None, reporter: Reporter) -> dict[str, Any] | None:
    """Return the state in `source` or, without it, the newest intact one of a run folder.

    A damaged newest state is renamed with a warning: the next save would keep it instead of the
    intact one before it.

    Returns:
        the state; None if the run has saved none yet.

    Raises:
        StateError: `source` cannot be used (no other is tried), or all states are damaged.
    """
    newest = folder / STATE
    if source is None and not (newest.exists() or (folder / PREVIOUS).exists()):
        _report_no_state(folder, reporter)
        return None
    if source is None:
        state, faults = newest_state(newest)
    else:
        state, faults = load_state(source), _damage(newest)
    if faults:
        what, hint = f"`{newest}` is missing", "a save was interrupted; the one before it is intact"
        if newest.exists():
            newest.replace(folder / DAMAGED)
            what, hint = faults[0].message, f"the damaged file is now `{folder / DAMAGED}`"
        reporter.warn(f"{what}; resuming from `{source or folder / PREVIOUS}`", hint)
    return state


def _report_no_state(folder: Path, reporter: Reporter) -> None:
    """Report that a run starts; warn if it is a new one, perhaps because of a mistyped name."""
    what = "no saved state yet; starting from the beginning"
    if (folder / CONFIG).is_file():
        reporter.info(f"`{folder}`: {what}")
        return
    near = similar_run(folder)
    hint = f"did you mean `{near}`?" if near else "check --run-dir if a run should continue"
    reporter.warn(f"`{folder}`: no run to resume, {what}", hint)


def _damage(state: Path) -> list[StateError]:
    """Return what is wrong with a state that exists."""
    if state.exists():
        try:
            load_state(state)
        except StateError as error:
            return [error]
    return []


def check(
    folder: Path,
    state: Mapping[str, Any],
    config: Config,
    mode: Mode,
    now: Mapping[str, Any],
    reporter: Reporter,
    *,
    allow_inexact: bool,
) -> None:
    """Refuse to resume with other settings, data or processes; warn of lesser changes.

    Raises:
        UsageError: the mode, the answers, or a setting that can change a result, differs.
        DataError: the data set has changed.
        StateError: the number of processes or the precision differs, unless `allow_inexact`.
    """
    _check_settings(folder, state, config, mode, reporter)
    before = state["facts"]
    if before["data"] != now["data"]:
        raise DataError(
            f"data set `{config.data.name}` has changed since the run began",
            "restore it, or start a new run in another --run-dir",
        )
    if before.get("answers") != now.get("answers"):
        _refuse_answers(folder, "answers" in before)
    changed = [
        f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]
    ]
    inexact = [key for key in EXACT if before[key] != now[key]]
    if inexact and not allow_inexact:
        raise StateError(
            f"the run began with another number of processes or precision: {', '.join(changed)}",
            "resume it as it began, or accept different numbers with --allow-inexact",
        )
    if changed:
        reporter.warn(
            f"resumed under other conditions ({', '.join(changed)})",
            "the run continues, but not bit by bit",
        )


def _refuse_answers(folder: Path, had: bool) -> NoReturn:
    """Raise `UsageError`: a run that had answers, or none, is resumed with others."""
    if had:
        hint = f"leave out --answers and restore `{folder / ANSWERS}`, or start a new run"
        raise UsageError(f"`{folder}`: the run began with other answers", hint)
    weights = shlex.quote(f"model.weights={folder / LAST}")
    options = f"--set {weights} --answers FILE --run-dir NEW"
    hint = f"leave out --answers, or start a new run from its weights: `{options}`"
    raise UsageError(f"`{folder}`: the run began without answers", hint)


def _check_settings(
    folder: Path, state: Mapping[str, Any], config: Config, mode: Mode, reporter: Reporter
) -> None:
    about = state["about"]
    if about["mode"] != mode:
        raise UsageError(
            f"`{folder}`: this is a run of `pplr {about['mode']}`", f"use `pplr {about['mode']}`"
        )
    done = state["epoch"] + (state["current"] is not None)
    began = flat(presets.restore(about["settings"], "the saved state").document())  # with new keys
    changes = {
        key: (began[key], new) for key, new in flat(config.document()).items() if began[key] != new
    }
    short = EPOCHS in changes and changes[EPOCHS][1] < done
    free = FREE if short else {*FREE, EPOCHS}
    if changed := {key: pair for key, pair in changes.items() if key not in free}:
        lines = [f"`{key}` was {old}, is {new}" for key, (old, new) in changed.items()]
        command = shlex.join(["pplr", mode, "--run-dir", str(folder), "--resume"])
        hint = (
            f"`{command}`, without --preset, --set and --seed, takes the run's own settings; undo "
            f"what you changed in its `{CONFIG}`, or start a new run"
        )
        if short:
            lines.append(f"a run cannot be shortened below the epochs that it has begun ({done})")
        if changed.keys() == {EPOCHS}:
            least = f"`{command} --set {EPOCHS}={done}`, or more"
            hint = f"{least}; or start a new run in another --run-dir"
        what = f"`{folder}`: the run began with other settings:"
        raise UsageError("\n  ".join([what, *lines]), hint)
    if EPOCHS in changes:
        old, new = changes[EPOCHS]
        how = "lengthened" if new > old else "shortened"
        reporter.info(f"the run is {how}: `{EPOCHS}` was {old}, is {new}")
