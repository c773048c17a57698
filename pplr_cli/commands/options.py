"""Options that several commands share, and those that a request's fields declare."""

from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from pplr_cli.config.fields import Precision as PrecisionName
from pplr_cli.config.options import Option, options_of
from pplr_cli.errors import UsageError
from pplr_cli.session.request import TrainingRequest


def signature(request: type) -> Signature:
    """Return the signature of a command that takes every option of a request."""
    types = get_type_hints(request)
    types |= {name: list[str] for name, kind in types.items() if kind == tuple[str, ...]}
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=getattr(request, name, Parameter.empty),
            annotation=Annotated[types[name], _typer_option(option)],
        )
        for name, option in options_of(request).items()
    ]
    return Signature(parameters)


def _typer_option(option: Option) -> Any:
    return typer.Option(*option.flags, **option.about)


def _training(name: str) -> Any:
    """Return the Typer option that a field of `TrainingRequest` declares."""
    return _typer_option(options_of(TrainingRequest)[name])


Data = Annotated[str | None, _training("data")]
DataDir = Annotated[Path | None, _training("data_dir")]
Set = Annotated[list[str] | None, _training("settings")]
Device = Annotated[str, _training("device")]
Precision = Annotated[PrecisionName, _training("precision")]
Workers = Annotated[int, _training("workers")]
Cache = Annotated[bool, _training("cache")]
Verify = Annotated[bool, _training("verify")]
Quiet = Annotated[bool, _training("quiet")]
Verbose = Annotated[bool, _training("verbose")]
Weights = Annotated[
    Path,
    typer.Option("--weights", help="best.pth or last.pth of a run, or an official PPLR file."),
]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OptionalPreset = Annotated[
    str | None,
    typer.Option("--preset", help="Preset of a weights file that records no settings."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip images that cannot be decoded.")]

CORES = TrainingRequest.workers


def check_plots(folder: Path | None) -> None:
    """Check that `--plots` can be a folder; `UsageError` if there is a file in its way."""
    for path in () if folder is None else (folder, *folder.parents):
        if path.is_file():
            raise UsageError(
                f"`--plots {folder}`: `{path}` is a file", "name a folder for the pictures"
            )
