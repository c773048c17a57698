"""The `pplr` command: one line per command, and the way from an exception to an exit code."""

import re
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from pplr_cli import __version__, streams
from pplr_cli.commands.doctor import doctor
from pplr_cli.commands.download import download_weights
from pplr_cli.commands.evaluate import evaluate
from pplr_cli.commands.prepare import prepare
from pplr_cli.commands.presets import app as presets_app
from pplr_cli.commands.train import train, train_cam
from pplr_cli.console import Console, report_unexpected
from pplr_cli.errors import PplrError, UsageError

EXAMPLES = {
    "prepare": "pplr prepare market Market-1501-v15.09.15.zip",
    "train": "pplr train --preset demo",
    "train-cam": "pplr train-cam --preset market",
    "evaluate": "pplr evaluate --weights runs/market-train/best.pth",
    "download-weights": "pplr download-weights market",
    "presets": "pplr presets show market",
    "doctor": "pplr doctor",
}
"""One example for each command, shown by `pplr --help` and by the command's own help."""

_KEEP_LINES = "\b\n"
"""Typer's mark for a paragraph that must not be wrapped."""


def _example(name: str) -> str:
    return f"{_KEEP_LINES}Example:\n  {EXAMPLES[name]}"


app = typer.Typer(
    name="pplr",
    help=(
        "Train, evaluate and hand out unsupervised person and vehicle re-identification models "
        "(PPLR, CVPR 2022)."
    ),
    epilog=f"{_KEEP_LINES}Examples:\n  " + "\n  ".join(EXAMPLES.values()),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=_example("prepare"))(prepare)
app.command(epilog=_example("train"))(train)
app.command("train-cam", epilog=_example("train-cam"))(train_cam)
app.command(epilog=_example("evaluate"))(evaluate)
app.command("download-weights", epilog=_example("download-weights"))(download_weights)
app.add_typer(presets_app, name="presets", epilog=_example("presets"))
app.command(epilog=_example("doctor"))(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pplr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage or preset, 130 interrupted."""
    stdout = streams.guard()
    code = run(sys.argv[1:])
    stdout.flush()
    lost = stdout.failure
    if code == 0 and lost is not None and not isinstance(lost, BrokenPipeError):
        Console().error(PplrError(f"standard output: {lost.strerror}", "the results are lost"))
        code = 1
    sys.exit(code)


def run(arguments: list[str], cli: typer.Typer = app) -> int:
    """Run the command line on `arguments` and return its exit code."""
    try:
        code = cli(arguments, standalone_mode=False, prog_name="pplr")
    except PplrError as error:
        return _fail(error)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help itself
            typer.echo(error.message, err=True)
            return error.exit_code
        return _fail(_usage_error(error), error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        known = report_unexpected(error)
        if known is None:
            raise
        return _fail(known, error)
    return code if isinstance(code, int) else 0


def _fail(error: PplrError, cause: Exception | None = None) -> int:
    if cause is not None:
        error.__cause__ = cause
    Console().error(error)
    return error.exit_code


def _usage_error(error: TyperException) -> UsageError:
    """Turn Typer's words for a wrong command line into ours: `error:` and `hint:`."""
    what, _, near = re.sub(r"'([^']*)'", r"`\1`", error.format_message()).partition(" Did you mean")
    what, _, options = what.partition(" (Possible options: ")
    near = near or options.replace(")", "?")
    help_text = "`pplr --help` and `pplr COMMAND --help` show the usage"
    what = what.rstrip(". ?")
    return UsageError(
        what[:1].lower() + what[1:], f"did you mean {near.strip()}" if near else help_text
    )
