"""`pplr train` and `pplr train-cam`: one trainer, without and with the camera losses."""

from collections.abc import Callable
from typing import Any

from pplr_cli.commands import options
from pplr_cli.config.fields import Mode
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console


def training_command(mode: Mode) -> Callable[..., None]:
    """Return the command of a mode; its options are the fields of `TrainingRequest`."""

    def command(**values: Any) -> None:
        request = TrainingRequest(mode, **values | {"settings": tuple(values["settings"])})
        request.config()  # report wrong settings before torch is imported

        from pplr_cli.session import start

        start.execute(request, Console(verbosity=request.verbosity))

    cameras = "with" if mode == "train-cam" else "without"
    command.__doc__ = f"Train {cameras} camera labels; weights and report go to the run folder."
    command.__signature__ = options.training_signature()  # type: ignore[attr-defined]
    return command


train = training_command("train")
train_cam = training_command("train-cam")
