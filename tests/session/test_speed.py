"""The speed of a run, measured before it starts."""

from typing import Any

import pytest

from pplr_cli.labelling import screened_search
from pplr_cli.progress import Silent
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.speed import Speed, measure
from pplr_cli.session.start import plan_training


@pytest.mark.parametrize(("mode", "many"), [("train", 10_000), ("train-cam", 10_000), ("train", 1)])
def test_each_mode_and_search_is_measured(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, mode: str, many: int
) -> None:
    monkeypatch.setattr(screened_search, "MANY", many)
    found: list[Speed] = []
    monkeypatch.setattr(
        "pplr_cli.session.session.measure", lambda t: found.append(measure(t)) or found[0]
    )
    plan = plan_training(TrainingRequest(**(options | {"mode": mode})), Silent())
    assert plan is not None
    assert 0 < found[0].step < 5
    assert 0 < found[0].image < 1
    assert 0 < found[0].search < 5
