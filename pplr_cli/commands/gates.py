"""`--fail-below mAP=0.80`: minimum figures, for pipelines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pplr_cli.errors import PplrError, UsageError
from pplr_cli.retrieval.published import RANKS
from pplr_cli.text import nearest

FIGURES = ("mAP", *(f"rank{k}" for k in RANKS), "mINP")
"""The names of the figures in the JSON document."""
EXAMPLE = "for example `--fail-below mAP=0.80`"


class Gate(NamedTuple):
    """The minimum of a figure, from 0 to 1."""

    figure: str
    least: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Parse `mAP=0.80`; `UsageError` if it is not a figure and a fraction."""
        figure, sign, value = text.partition("=")
        option = f"`--fail-below {text}`"
        if not sign:
            raise UsageError(f"{option}: expected figure=fraction", EXAMPLE)
        if figure not in FIGURES:
            raise UsageError(f"{option}: unknown figure `{figure}`", nearest(figure, FIGURES))
        try:
            least = float(value)
        except ValueError as error:
            raise UsageError(f"{option}: `{value}` is not a number", EXAMPLE) from error
        if not 0 <= least <= 1:
            percent = 1 < least <= 100
            hint = f"figures are fractions: `--fail-below {figure}={least / 100:g}`"
            raise UsageError(f"{option}: must be from 0 to 1", hint if percent else EXAMPLE)
        return cls(figure, least)

    def outcome(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Return the gate, the value of its figure, and whether it passed."""
        value = values[self.figure]
        return {**self._asdict(), "value": value, "passed": value >= self.least}


def require(outcomes: Sequence[Mapping[str, Any]], plots: Path | None) -> None:
    """Raise `PplrError` if a figure is too low; `plots` is the folder of the pictures, if any."""
    short = [
        f"`{one['figure']}` is {one['value']:.4f}, {one['least'] - one['value']:.3g} below the "
        f"{one['least']:g} of `--fail-below`"
        for one in outcomes
        if not one["passed"]
    ]
    if short:
        drawn = "`--plots DIR` draws" if plots is None else f"`{plots}` shows"
        raise PplrError("; ".join(short), f"{drawn} the worst queries")
