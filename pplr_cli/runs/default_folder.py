"""The run folder where none is named: runs with other settings do not share one."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pplr_cli.config import presets
from pplr_cli.config.document import flat
from pplr_cli.config.fields import Config
from pplr_cli.config.types import is_auto
from pplr_cli.errors import PplrError, UsageError

CONFIG = "config.yaml"
EPOCHS = "optim.epochs"
FREE = {"title", "data.cache", "engine.memory_gb", "engine.save_minutes"}
"""Settings that cannot change a result; `optim.epochs` may change too, which is reported."""


def default_folder(usual: Path, config: Config, seed: int, *, resume: bool) -> Path:
    """Return the folder of a run: `usual`, with the seed and a number where these are needed.

    The number is the first that is free. A run with the same settings keeps its folder, so that all
    processes of a run find the same one.

    Args:
        usual: the folder of a run with the preset's settings.
        config: settings of the run.
        seed: the preset's.
        resume: find the run to continue, which may have another `optim.epochs`.

    Raises:
        UsageError: several runs could be continued.
    """
    name = usual.name if config.seed == seed else f"{usual.name}-seed{config.seed}"
    wanted, runs = _settings(config), _runs(usual)
    if same := [path for path, settings in runs.items() if _like(settings, wanted)]:
        return same[0]
    if not resume:
        numbered = (usual.with_name(f"{name}-{n}" if n > 1 else name) for n in range(1, 10**6))
        return next(path for path in numbered if not (path / CONFIG).is_file())
    near = [path for path, settings in runs.items() if _like(settings, wanted, EPOCHS)]
    if len(near) > 1:
        raise UsageError(
            f"{', '.join(f'`{path}`' for path in near)}: runs that could be continued",
            "name one with --run-dir",
        )
    return near[0] if near else usual.with_name(name)


def similar_run(path: Path) -> Path | None:
    """Return the run folder with the most similar name, next to `path` or in `runs`."""
    homes = (Path("runs"), path.parent)
    runs = {file.parent.name: file.parent for home in homes for file in home.glob(f"*/{CONFIG}")}
    near = difflib.get_close_matches(path.name, runs, n=1, cutoff=0.6)
    return runs[near[0]] if near else None


def _runs(usual: Path) -> dict[Path, Mapping[str, Any]]:
    """Return the settings of the runs whose folders may have been named by default."""
    names = re.compile(rf"{re.escape(usual.name)}(-seed\d+)?(-\d+)?")
    files = sorted(usual.parent.glob(f"*/{CONFIG}"))
    return {file.parent: _recorded(file) for file in files if names.fullmatch(file.parent.name)}


def _recorded(file: Path) -> Mapping[str, Any]:
    try:
        return _settings(presets.restore(presets.read(file), str(file)))
    except (PplrError, OSError):
        return {}  # damaged: like no other


def _settings(config: Config) -> dict[str, Any]:
    return {key: value for key, value in flat(config.document()).items() if key not in FREE}


def _like(recorded: Mapping[str, Any], wanted: Mapping[str, Any], free: str = "") -> bool:
    """Return whether only the setting `free` differs; `auto` is recorded as a number."""
    return recorded.keys() == wanted.keys() and all(
        recorded[key] == value or key == free or is_auto(value) for key, value in wanted.items()
    )
