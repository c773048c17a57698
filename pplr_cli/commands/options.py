"""Options that several commands share, and those that the fields of a request declare."""

from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from pplr_cli.commands import completion
from pplr_cli.config.options import Option, as_option, options_of
from pplr_cli.errors import UsageError
from pplr_cli.session.request import TrainingRequest


def takes(request: type | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every option of a request, ahead of those that its parameters declare.

    Lists arrive as tuples.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: Any) -> None:
            command(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})

        types = {} if request is None else get_type_hints(request)
        asked = [] if request is None else [each for each in fields(request) if each.metadata]
        given = [_parameter(each.name, types[each.name], each) for each in asked]
        for name, each in signature(command).parameters.items():
            if isinstance(each.default, Field):
                given.append(_parameter(name, each.annotation, each.default))
            elif each.kind is not Parameter.VAR_KEYWORD:
                given.append(each.replace(kind=Parameter.KEYWORD_ONLY))
        call.__signature__ = Signature(given)  # type: ignore[attr-defined]
        return call

    return decorate


def _parameter(name: str, kind: Any, declared: Field[Any]) -> Parameter:
    """Return what Typer reads for a declared option; a tuple is a list for Typer."""
    if get_origin(kind) is tuple:
        kind = GenericAlias(list, get_args(kind)[:1])
    default = Parameter.empty if declared.default is MISSING else declared.default
    annotation = Annotated[kind, _typer_option(as_option(name, declared))]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typer_option(option: Option) -> Any:
    if option.flags:
        values = completion.BY_OPTION.get(option.flags[0])
        return typer.Option(*option.flags, **option.about, autocompletion=values)
    return typer.Argument(**option.about)


def _training(name: str) -> Any:
    """Return the Typer option that a field of `TrainingRequest` declares."""
    return _typer_option(options_of(TrainingRequest)[name])


Data = Annotated[str | None, _training("data")]
DataDir = Annotated[Path | None, _training("data_dir")]
Set = Annotated[list[str] | None, _training("settings")]
Device = Annotated[str, _training("device")]
Workers = Annotated[int, _training("workers")]
Cache = Annotated[bool, _training("cache")]
Verify = Annotated[bool, _training("verify")]
Quiet = Annotated[bool, _training("quiet")]
Verbose = Annotated[bool, _training("verbose")]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip images that cannot be decoded.")]


CORES = TrainingRequest.workers


class Command(TyperCommand):
    """A command that refuses an option given twice, of which the first would be ignored."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `UsageError` for an option given twice."""
        given = self.make_parser(ctx).parse_args(list(args))[2]
        for option, times in Counter(given).items():
            single = option.nargs == 1 and not getattr(option, "is_flag", False)
            if times > 1 and single and not option.multiple:
                raise UsageError(f"`{option.opts[0]}` is given {times} times", "give it once")
        return super().parse_args(ctx, args)
