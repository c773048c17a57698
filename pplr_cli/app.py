"""The `pplr` command: its subcommands, and the exit code of each exception."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from pplr_cli import __version__
from pplr_cli.commands.assign import assign
from pplr_cli.commands.cluster import cluster
from pplr_cli.commands.compare import compare, runs
from pplr_cli.commands.completion import join_bash_words
from pplr_cli.commands.doctor import doctor
from pplr_cli.commands.download import download_weights
from pplr_cli.commands.embed import embed
from pplr_cli.commands.evaluate import evaluate
from pplr_cli.commands.export import export
from pplr_cli.commands.labels import labels
from pplr_cli.commands.options import Command
from pplr_cli.commands.prepare import prepare
from pplr_cli.commands.presets import app as presets_app
from pplr_cli.commands.review import review
from pplr_cli.commands.search import search
from pplr_cli.commands.train import train, train_cam
from pplr_cli.commands.usage import usage_error
from pplr_cli.errors import PplrError, StoppedError, known_failure
from pplr_cli.terminal import streams
from pplr_cli.terminal.console import Console

COMMANDS: dict[str, tuple[str, ...]] = {
    "prepare": (
        "Check a data set and store it in the data folder.",
        "pplr prepare market Market-1501-v15.09.15.zip",
        "pplr prepare veri   (looks in the data folder)",
        "pplr prepare msmt17 part1.zip part2.zip",
        "pplr prepare market --check",
        r"pplr prepare folder crops --pattern '(?P<identity>\d+)_c(?P<camera>\d+)'",
    ),
    "train": ("Train without camera labels.", "pplr train --preset demo"),
    "train-cam": ("Train with camera labels.", "pplr train-cam --preset market"),
    "evaluate": (
        "Score a weights file: mAP, rank-1, 5 and 10.",
        "pplr evaluate --weights runs/market-train/best.pth",
        "pplr evaluate --weights official.pth --preset market --rerank",
        "pplr evaluate --weights best.pth --plots plots --fail-below mAP=0.80",
    ),
    "search": (
        "Find the person of a query image in a folder.",
        "pplr search --weights best.pth --query who.jpg --gallery crops",
        "pplr search --weights best.pth --query crops --gallery crops --json",
    ),
    "embed": (
        "Write the features of crops into a file.",
        "pplr embed --weights best.pth crops --to features.npz",
        "pplr embed --weights best.pth market --to market.npy --half",
    ),
    "cluster": (
        "Group crops into identities without training.",
        "pplr cluster --weights best.pth crops > labels.csv",
        "pplr cluster --weights best.pth crops --to folders",
    ),
    "assign": (
        "Give crops the identities of known ones, or new ones.",
        "pplr assign --weights best.pth --known labels.csv --known-images shop today",
        "pplr assign --weights best.pth --known people today --to folders",
    ),
    "labels": (
        "Write the pseudo-labels of a run as CSV.",
        "pplr labels runs/market-train --csv labels.csv",
        "pplr labels runs/market-train --epoch 10 | head",
    ),
    "runs": ("List the runs of a folder.", "pplr runs"),
    "compare": (
        "Compare runs: figures, settings, spread over seeds.",
        "pplr compare runs/demo-train runs/demo-train-cam",
        "pplr compare runs/* --to comparison.html",
    ),
    "review": (
        "Write a page to correct the clusters by hand.",
        "pplr review runs/market-train",
    ),
    "export": (
        "Export the model: ONNX, safetensors or TorchScript.",
        "pplr export --weights best.pth --to model.onnx",
    ),
    "download-weights": (
        "List or download pretrained weights.",
        "pplr download-weights market",
        "pplr download-weights   (lists all weights)",
        "pplr download-weights resnet50 --from-file resnet50-0676ba61.pth",
    ),
    "presets": ("List, show and copy the presets.", "pplr presets show market"),
    "doctor": ("Check the installation, data sets and weights.", "pplr doctor"),
}
"""Summary and examples of each command; `pplr --help` shows the first example."""

_KEEP_LINES = "\b\n"
"""Typer's mark for a paragraph that is not wrapped."""


def _about(name: str) -> dict[str, Any]:
    """Return the name, summary and examples of a command for Typer."""
    summary, *examples = COMMANDS[name]
    return {"name": name, "short_help": summary, "epilog": _examples(examples)}


def _examples(lines: Sequence[str]) -> str:
    """Return the block of examples at the end of a help page."""
    return "\n  ".join([f"{_KEEP_LINES}Example{'s' if len(lines) > 1 else ''}:", *lines])


app = typer.Typer(
    name="pplr",
    help=(
        "Train, evaluate and export unsupervised person and vehicle re-identification models "
        "(PPLR, CVPR 2022)."
    ),
    epilog=_examples([example for _, example, *_ in COMMANDS.values()]),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=Command, **_about("prepare"))(prepare)
app.command(cls=Command, **_about("train"))(train)
app.command(cls=Command, **_about("train-cam"))(train_cam)
app.command(cls=Command, **_about("evaluate"))(evaluate)
app.command(cls=Command, **_about("search"))(search)
app.command(cls=Command, **_about("embed"))(embed)
app.command(cls=Command, **_about("cluster"))(cluster)
app.command(cls=Command, **_about("assign"))(assign)
app.command(cls=Command, **_about("labels"))(labels)
app.command(cls=Command, **_about("runs"))(runs)
app.command(cls=Command, **_about("compare"))(compare)
app.command(cls=Command, **_about("review"))(review)
app.command(cls=Command, **_about("export"))(export)
app.command(cls=Command, **_about("download-weights"))(download_weights)
app.add_typer(presets_app, **_about("presets"))
app.command(cls=Command, **_about("doctor"))(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pplr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
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
    join_bash_words(os.environ)
    while arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        code = cli(arguments, standalone_mode=False, prog_name="pplr")
    except PplrError as error:
        return _fail(error)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help itself
            typer.echo(error.message, err=True)
            return error.exit_code
        return _fail(usage_error(error, arguments, COMMANDS), error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        cause = error.__cause__ if isinstance(error, typer.Abort) else error  # an EOFError
        known = known_failure(cause or error)
        if known is None:
            raise
        return _fail(known, cause)
    return code if isinstance(code, int) else 0


def _fail(error: PplrError, cause: BaseException | None = None) -> int:
    if cause is not None:
        error.__cause__ = cause
    if isinstance(error, StoppedError) and not error.reported:
        Console().info(error.message)
    elif not error.reported:
        Console().error(error)
    return error.exit_code
