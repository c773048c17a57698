"""Seconds of each stage."""

import time

import pytest

from pplr_cli.timing import Stopwatch


def test_laps_and_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Stopwatch()
    for pause in (1.0, 2.0):
        now[0] += pause
        with watch.timing("inside"):
            now[0] += 0.5
        watch.lap("all")
    assert watch.seconds == {"inside": 1.0, "all": 4.0}
