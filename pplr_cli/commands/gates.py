"""`--fail-below mAP=0.80`: minimum figures, for pipelines."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
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
        figure, _, value = text.partition("=")
        if figure not in FIGURES:
            hint = nearest(figure, FIGURES)
            raise UsageError(f"`--fail-below {text}`: unknown figure `{figure}`", hint)
        with suppress(ValueError):
            if 0 <= float(value) <= 1:
                return cls(figure, float(value))
        raise UsageError(f"`--fail-below {text}`: expected a fraction from 0 to 1", EXAMPLE)

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
