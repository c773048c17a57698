"""`--fail-below`."""

from pathlib import Path

import pytest

from pplr_cli.commands.gates import EXAMPLE, FIGURES, Gate, Outcome, require
from pplr_cli.errors import PplrError, UsageError

VALUES = {"mAP": 0.75, "rank1": 0.9, "rank5": 0.95, "rank10": 1.0, "mINP": 0.0}


def outcomes(*texts: str) -> list[Outcome]:
    gates = [Gate.parse(text) for text in texts]
    return [gate.outcome(VALUES[gate.figure]) for gate in gates]


def test_figures_that_are_high_enough_pass() -> None:
    assert set(FIGURES) == set(VALUES)
    require(outcomes("mAP=0.75", "rank1=.9", "rank10=1", "mINP=0"), None)
    require(outcomes("mAP=75%", "rank1=90%", "rank10=100%", "mINP=0%"), None)
    assert Gate.parse("mAP=0.5%").least == 0.005
    require([], None)


def test_each_figure_that_falls_short_is_named_with_what_is_lacking() -> None:
    with pytest.raises(PplrError) as caught:
        require(outcomes("mAP=0.80", "rank1=0.5", "rank5=0.950001"), None)
    assert caught.value.exit_code == 1
    assert caught.value.message == (
        "`mAP` is 0.7500, 0.05 below the 0.8 of `--fail-below`; "
        "`rank5` is 0.9500, 1e-06 below the 0.950001 of `--fail-below`"
    )


@pytest.mark.parametrize(
    ("plots", "hint"), [(None, "`--plots DIR` draws"), (Path("worst"), "`worst` shows")]
)
def test_pictures_are_recommended_where_there_are_none(plots: Path | None, hint: str) -> None:
    with pytest.raises(PplrError) as caught:
        require(outcomes("mAP=0.80"), plots)
    assert caught.value.hint == f"{hint} the worst queries"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        *(
            (text, "expected a fraction from 0 to 1, or %", EXAMPLE)
            for text in ("mAP", "mAP=high", "mAP=nan", "mAP=-1", "mAP=101%", "mAP=%", "mAP=nan%")
        ),
        ("mAP=80", "expected a fraction from 0 to 1, or %", "did you mean `mAP=80%`?"),
        ("mAP=0.80.5", "expected a fraction from 0 to 1, or %", EXAMPLE),
        ("map=0.8", "unknown figure `map`", "did you mean `mAP`?"),
        ("rank-1=0.8", "unknown figure `rank-1`", "did you mean `rank1`?"),
        ("xyz=0.8", "unknown figure `xyz`", "there are mAP, rank1, rank5, rank10, mINP"),
    ],
)
def test_wrong_gates_are_wrong_usage(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Gate.parse(text)
    assert caught.value.message == f"`--fail-below {text}`: {message}"
    assert caught.value.hint == hint
