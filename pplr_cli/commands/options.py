"""Options that several commands share, and those that a request's fields declare."""

from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from pplr_cli.config.fields import Precision as PrecisionName
from pplr_cli.errors import UsageError
from pplr_cli.session.request import OPTIONS, TrainingRequest


def declared(name: str) -> Any:
    """Return the Typer option that a field of `TrainingRequest` declares."""
    return typer.Option(*OPTIONS[name].flags, **OPTIONS[name].about)


def training_signature() -> Signature:
    """Return the signature of a command that takes every option of `TrainingRequest`."""
    types = get_type_hints(TrainingRequest) | {"settings": list[str]}
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=getattr(TrainingRequest, name),
            annotation=Annotated[types[name], declared(name)],
        )
        for name in OPTIONS
    ]
    return Signature(parameters)


Data = Annotated[str | None, declared("data")]
DataDir = Annotated[Path | None, declared("data_dir")]
Set = Annotated[list[str] | None, declared("settings")]
Device = Annotated[str, declared("device")]
Precision = Annotated[PrecisionName, declared("precision")]
Workers = Annotated[int, declared("workers")]
Cache = Annotated[bool, declared("cache")]
Verify = Annotated[bool, declared("verify")]
Quiet = Annotated[bool, declared("quiet")]
Verbose = Annotated[bool, declared("verbose")]
Weights = Annotated[
    Path,
    typer.Option("--weights", help="best.pth or last.pth of a run, or an official PPLR file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OptionalPreset = Annotated[
    str | None,
    typer.Option("--preset", help="Preset of a weights file that records no settings."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip images that cannot be decoded.")]

CORES = TrainingRequest.workers


def check_plots(folder: Path | None) -> None:
    """Make sure that `--plots` can be a folder; `UsageError` if a file is in its place."""
    for path in () if folder is None else (folder, *folder.parents):
        if path.is_file():
            raise UsageError(
                f"`--plots {folder}`: `{path}` is a file", "name a folder for the pictures"
            )
