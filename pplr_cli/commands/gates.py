"""`--fail-below mAP=0.80` or `mAP=80%`: minimum figures, for pipelines."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pplr_cli.commands.documents import Part
from pplr_cli.config.types import Fraction
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.retrieval.published import RANKS
from pplr_cli.text import nearest

FIGURES = ("mAP", *(f"rank{k}" for k in RANKS), "mINP")
"""The names of the figures in the JSON document."""
EXAMPLE = "for example `--fail-below mAP=0.80` or `mAP=80%`"


class Outcome(Part):
    """The outcome of one `--fail-below`."""

    figure: str
    least: Fraction
    value: Fraction
    passed: bool


class Gate(NamedTuple):
    """The minimum of a figure, from 0 to 1."""

    figure: str
    least: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Parse `mAP=0.80` or `mAP=80%`; `UsageError` if it is not a figure and a fraction."""
        figure, _, value = text.partition("=")
        if figure not in FIGURES:
            hint = nearest(figure, FIGURES)
            raise UsageError(f"`--fail-below {text}`: unknown figure `{figure}`", hint)
        hint = EXAMPLE
        with suppress(ValueError):
            number = float(value.removesuffix("%"))
            least = number / 100 if value.endswith("%") else number
            if 0 <= least <= 1:
                return cls(figure, least)
            if 1 < number <= 100:
                hint = f"did you mean `{figure}={value}%`?"
        raise UsageError(f"`--fail-below {text}`: expected a fraction from 0 to 1, or %", hint)

    def outcome(self, value: float) -> Outcome:
        """Return whether the value of the figure is high enough."""
        return Outcome(
            figure=self.figure, least=self.least, value=value, passed=value >= self.least
        )


def require(outcomes: Sequence[Outcome], plots: Path | None) -> None:
    """Raise `PplrError` if a figure is too low; `plots` is the folder of the pictures, if any."""
    short = [
        f"`{one.figure}` is {one.value:.4f}, {one.least - one.value:.3g} below the "
        f"{one.least:g} of `--fail-below`"
        for one in outcomes
        if not one.passed
    ]
    if short:
        drawn = "`--plots DIR` draws" if plots is None else f"`{plots}` shows"
        raise PplrError("; ".join(short), f"{drawn} the worst queries")
