"""`pplr train` and `pplr train-cam`: one trainer, without and with the camera losses."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pplr_cli.commands import options
from pplr_cli.config.fields import Mode
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.runs.records import Run


def training_command(mode: Mode) -> Callable[..., None]:
    """Return the command of a mode; its options are the fields of `TrainingRequest`."""

    def command(**values: Any) -> None:
        request = TrainingRequest(mode, **values)
        request.config()  # report wrong settings before torch is imported

        from pplr_cli.session import start

        console = Console(verbosity=request.verbosity)
        if request.dry_run:
            rows = start.plan_training(request, console)
            if rows is not None:
                console.table(("what", "value"), rows)
            return
        run = start.run_training(request, console)
        if run is not None:
            _print(run, request, console)

    cameras = "with" if mode == "train-cam" else "without"
    command.__doc__ = f"Train {cameras} camera labels; weights and report go to the run folder."
    return options.takes(TrainingRequest)(command)


def _print(run: "Run", request: TrainingRequest, console: Console) -> None:
    """Print the result of a run, and the command that evaluates it if there are labels."""
    for line in run.summary():
        console.result(line)
    if run.evaluated:
        words = ["pplr", "evaluate", "--weights", str(run.weights)]
        words += ["--data-dir", str(request.data_dir)] if request.data_dir is not None else []
        console.info(f"next: `{shlex.join(words)}`")


train = training_command("train")
train_cam = training_command("train-cam")
