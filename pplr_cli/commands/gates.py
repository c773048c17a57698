"""`--fail-below mAP=0.80`: the least that a figure must reach, for pipelines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pplr_cli.errors import PplrError, UsageError
from pplr_cli.retrieval.published import RANKS
from pplr_cli.text import nearest

FIGURES = ("mAP", *(f"rank{k}" for k in RANKS), "mINP")
"""The figures that can be asked for, named as in the JSON document."""
EXAMPLE = "for example `--fail-below mAP=0.80`"


class Gate(NamedTuple):
    """The least value of a figure, from 0 to 1."""

    figure: str
    least: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Read `mAP=0.80`; `UsageError` where it is no figure or no fraction."""
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
        if 1 < least <= 100:
            hint = f"figures are fractions: `--fail-below {figure}={least / 100:g}`"
            raise UsageError(f"{option}: must be from 0 to 1", hint)
        if not 0 <= least <= 1:
            raise UsageError(f"{option}: must be from 0 to 1", EXAMPLE)
        return cls(figure, least)

    def outcome(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Return the gate, its figure's value and whether that is enough, as plain values."""
        value = values[self.figure]
        passed = value >= self.least
        return {"figure": self.figure, "least": self.least, "value": value, "passed": passed}


def require(outcomes: Sequence[Mapping[str, Any]], plots: Path | None) -> None:
    """Fail if a figure falls short; `plots` is the folder of the pictures, if there are any.

    Raises:
        PplrError: which figure falls short, and by how much.
    """
    short = [
        f"`{one['figure']}` is {one['value']:.4f}, {one['least'] - one['value']:.3g} below the "
        f"{one['least']:g} of `--fail-below`"
        for one in outcomes
        if not one["passed"]
    ]
    if short:
        hint = "`--plots DIR` draws the queries that did worst"
        if plots is not None:
            hint = f"`{plots}` shows the queries that did worst"
        raise PplrError("; ".join(short), hint)
