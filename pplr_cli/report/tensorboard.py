"""Logging of a run's figures to TensorBoard."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pplr_cli.errors import PplrError
from pplr_cli.progress import Reporter, optional

GROUPS = ("loss", "seconds", "agreement", "rank")
"""Prefixes of the names that TensorBoard groups."""


class TensorBoard:
    """Writes the figures of a run as scalars.

    Args:
        folder: the run folder; event files go to `tensorboard/` in it.
        reporter: receives a warning if they cannot be written.
    """

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._reporter = folder / "tensorboard", reporter
        self._writer = SummaryWriter(str(self._folder))

    @staticmethod
    def require() -> None:
        """Raise `PplrError` if TensorBoard is not installed, without importing it."""
        if find_spec("tensorboard") is None:
            raise PplrError(
                "--tensorboard: TensorBoard is not installed",
                "`pip install 'pplr[tensorboard]'`; `metrics.csv` of the run has the same figures",
            )

    def add(self, row: Mapping[str, Any]) -> None:
        """Write every figure of an epoch."""
        with optional(f"`{self._folder}`", self._reporter):
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(_tag(name), value, row["epoch"])
            self._writer.flush()


def _tag(name: str) -> str:
    """Return the name of a figure with its TensorBoard group."""
    group = next((each for each in GROUPS if name.startswith(each)), "run")
    return f"{group}/{name}"
