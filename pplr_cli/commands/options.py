"""Options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pplr_cli import host
from pplr_cli.errors import UsageError

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Data folder (default: PPLR_DATA_DIR, else ./data)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OptionalPreset = Annotated[
    str | None,
    typer.Option("--preset", help="Preset, where the weights file does not know its own."),
]
Data = Annotated[
    str | None, typer.Option("--data", help="Data set to use instead of the preset's.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting (repeatable)."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
Precision = Annotated[
    Literal["fp32", "bf16"], typer.Option("--precision", help="Precision of the network.")
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="Threads that decode images.", show_default="cores")
]
Cache = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep decoded images on disk (PPLR_CACHE_DIR)."),
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="First compare every image with the data set's manifest."),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out images that cannot be decoded.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Tell only results, warnings and errors.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell more of what is done.")]

CORES = host.cores()


def check_plots(folder: Path | None) -> None:
    """Make sure that `--plots` can be a folder; `UsageError` if a file is in its place."""
    for path in () if folder is None else (folder, *folder.parents):
        if path.is_file():
            raise UsageError(
                f"`--plots {folder}`: `{path}` is a file", "name a folder for the pictures"
            )


def overrides(settings: list[str] | None, data: str | None, seed: int | None = None) -> list[str]:
    """Return the `--set` texts together with those that `--data` and `--seed` stand for."""
    extra = [f"data.name={data}"] if data is not None else []
    extra += [f"seed={seed}"] if seed is not None else []
    return [*(settings or []), *extra]
