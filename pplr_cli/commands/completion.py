"""Values that the shell completes; nothing here imports much, as the shell waits."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.config.backbones import NAMES
from pplr_cli.config.problems import schemas
from pplr_cli.config.starts import STARTS
from pplr_cli.data.manifest import FILE_NAME
from pplr_cli.runs.default_folder import CONFIG
from pplr_cli.weights.catalogue import everything

BASH_KEY = "_PPLR_COMPLETE_KEY"
"""Environment variable: the `KEY=` that bash has cut off the value of `--set`."""


def preset_names() -> list[str]:
    """Return the shipped presets."""
    return presets.names()


def data_sets(ctx: Any) -> list[str]:
    """Return the prepared data sets in the data folder."""
    folder = ctx.params.get("data_dir")  # a text in Typer 0.28
    files = env.data_dir(Path(folder) if folder else None).glob(f"[!.]*/{FILE_NAME}")
    return sorted(file.parent.name for file in files)


def run_folders(incomplete: str) -> list[str]:
    """Return the run folders below `runs`, or below the folder that is typed."""
    pattern = f"{glob.escape(incomplete)}*/{CONFIG}" if "/" in incomplete else f"runs/*/{CONFIG}"
    return sorted(str(Path(file).parent) for file in glob.iglob(pattern))  # noqa: PTH207


def downloads() -> list[tuple[str, str]]:
    """Return name and description of the weights that can be downloaded."""
    return [(entry.name, entry.description) for entry in everything().values()]


def devices() -> list[str]:
    """Return the values of `--device`, with the GPUs that the driver shows."""
    gpus = sorted(int(file.name[6:]) for file in Path("/dev").glob("nvidia[0-9]*"))
    return ["auto", "cpu", "cuda", *(f"cuda:{number}" for number in gpus)]


def weights_files(incomplete: str) -> list[str]:
    """Return the weights files in run folders below `runs`, or below the folder that is typed."""
    start = glob.escape(incomplete)
    patterns = (f"{start}*.pth", f"{start}*/*.pth") if "/" in incomplete else ("runs/*/*.pth",)
    return sorted(file for each in patterns for file in glob.iglob(each))  # noqa: PTH207


def settings(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield `KEY=` and the meaning of the settings; of a single one also `KEY=VALUE`.

    Without the values, shells would end `KEY=` with a space, as it is the only match.
    """
    cut = os.environ.get(BASH_KEY, "")
    typed = f"{cut}{incomplete}"
    blocks = {key for key, schema in schemas().items() if "properties" in schema}
    keys = [key for key in schemas() if key not in blocks and key.startswith(typed)]
    for key in keys:
        yield f"{key}=", schemas()[key].get("description", "")
    key, _, value = (f"{keys[0]}=" if len(keys) == 1 else typed).partition("=")
    for known, meaning in _values(key, value):
        yield f"{key}={known}".removeprefix(cut), meaning


def _values(key: str, incomplete: str) -> Iterator[tuple[str, str]]:
    schema = schemas().get(key, {})
    default = [presets.scalar(schema["default"])] if schema.get("default") is not None else []
    values: Iterable[str] = schema.get("enum", default)
    if schema.get("type") == "boolean":
        values = ("true", "false")
    elif key == "model.weights":
        yield from ((name, start.origin) for name, start in STARTS.items())
        values = ("random", "synthetic", *weights_files(incomplete))
    elif key == "model.backbone":
        values = NAMES
    yield from ((value, "") for value in values)


def join_bash_words(environ: MutableMapping[str, str]) -> None:
    """Make one word of `VALUE` for Typer where bash has cut `--set KEY=VALUE` at the `=`."""
    last = int(environ.get("COMP_CWORD") or 0)
    words = environ.get("COMP_WORDS", "").split("\n")[: last + 1]
    if words[-1] == "=":
        words.append("")
    if words[-4:-3] == ["--set"] and words[-2] == "=":
        *line, key, _, value = words
        cut = {"COMP_WORDS": "\n".join([*line, value]), "COMP_CWORD": str(len(line))}
        environ.update(cut | {BASH_KEY: f"{key}="})


BY_OPTION: dict[str, Callable[..., Any]] = {
    "--preset": preset_names,
    "--data": data_sets,
    "--run-dir": run_folders,
    "--set": settings,
    "--device": devices,
    "--weights": weights_files,
}
"""What completes the value of an option, in all commands that have it."""
