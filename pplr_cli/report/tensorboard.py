"""A run's figures for TensorBoard, where it is installed and wanted."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pplr_cli.errors import PplrError
from pplr_cli.progress import Reporter, optional

GROUPS = ("loss", "seconds", "agreement", "rank")
"""First words of names whose charts belong together."""


def require_tensorboard() -> None:
    """Raise `PplrError` where TensorBoard is not installed; imports nothing."""
    if find_spec("tensorboard") is None:
        raise PplrError(
            "--tensorboard: TensorBoard is not installed",
            "`pip install 'pplr[tensorboard]'` adds it; the run folder has all figures without it",
        )


class Board:
    """Writes the rows of a run as scalars.

    Args:
        folder: where the event files go.
        reporter: warned if they cannot be written.

    Raises:
        PplrError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._reporter = folder, reporter
        self._writer = SummaryWriter(str(folder))

    def add(self, row: Mapping[str, Any]) -> None:
        """Write every figure of an epoch."""
        with optional(f"`{self._folder}`", self._reporter):
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(_tag(name), value, row["epoch"])
            self._writer.flush()


def _tag(name: str) -> str:
    """Return the name under which TensorBoard groups a figure."""
    group = next((each for each in GROUPS if name.startswith(each)), "run")
    return f"{group}/{name}"
