"""Values that the shell completes; nothing here imports much, as the shell waits."""

import glob
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.config.problems import schemas
from pplr_cli.data.manifest import FILE_NAME
from pplr_cli.runs.default_folder import CONFIG


def preset_names() -> list[str]:
    """Return the shipped presets."""
    return presets.names()


def data_sets(ctx: Any) -> list[str]:
    """Return the prepared data sets in the data folder."""
    files = env.data_dir(ctx.params.get("data_dir")).glob(f"[!.]*/{FILE_NAME}")
    return sorted(file.parent.name for file in files)


def run_folders(incomplete: str) -> list[str]:
    """Return the run folders below `runs`, or below the folder that is typed."""
    pattern = f"{glob.escape(incomplete)}*/{CONFIG}" if "/" in incomplete else f"runs/*/{CONFIG}"
    return sorted(str(Path(file).parent) for file in glob.iglob(pattern))  # noqa: PTH207


def setting_keys() -> Iterator[tuple[str, str]]:
    """Yield `KEY=` and the meaning of each setting."""
    for key, schema in schemas().items():
        if "properties" not in schema:
            yield f"{key}=", schema.get("description", "")


BY_OPTION: dict[str, Callable[..., Any]] = {
    "--preset": preset_names,
    "--data": data_sets,
    "--run-dir": run_folders,
    "--set": setting_keys,
}
"""What completes the value of an option, in all commands that have it."""
