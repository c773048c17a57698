"""The `pplr` command: one line per command, and the way from an exception to an exit code."""

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from pplr_cli import __version__
from pplr_cli.commands.doctor import doctor
from pplr_cli.commands.download import download_weights
from pplr_cli.commands.evaluate import evaluate
from pplr_cli.commands.prepare import prepare
from pplr_cli.commands.presets import app as presets_app
from pplr_cli.commands.train import train, train_cam
from pplr_cli.console import Console, report_unexpected
from pplr_cli.errors import PplrError

EXAMPLES = """
Examples:

  pplr train --preset demo                           synthetic data, no download, minutes on a CPU

  pplr prepare market Market-1501-v15.09.15.zip      check and unpack a data set

  pplr train --preset market                         without camera labels

  pplr train-cam --preset market                     with camera labels

  pplr evaluate --weights runs/market-train/best.pth

  pplr download-weights                              list what can be fetched

  pplr presets show market                           every setting, resolved

  pplr doctor                                        what this machine can do
"""

app = typer.Typer(
    name="pplr",
    help=(
        "Train, evaluate and hand out unsupervised person and vehicle re-identification models "
        "(PPLR, CVPR 2022)."
    ),
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(prepare)
app.command()(train)
app.command("train-cam")(train_cam)
app.command()(evaluate)
app.command("download-weights")(download_weights)
app.add_typer(presets_app, name="presets")
app.command()(doctor)


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
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line on `arguments` and return its exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except PplrError as error:
        Console().error(error)
        return error.exit_code
    except TyperException as error:
        hint = "`pplr --help` and `pplr COMMAND --help` show the usage"
        Console().error(PplrError(error.format_message(), hint))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        Console().error(PplrError("interrupted"))
        return 130
    except Exception as error:
        known = report_unexpected(error)
        if known is None:
            raise
        known.__cause__ = error
        Console().error(known)
        return known.exit_code
    return code if isinstance(code, int) else 0
