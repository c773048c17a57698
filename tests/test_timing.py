"""Seconds of each stage."""

import time

import pytest

from pplr_cli.timing import Stopwatch


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Stopwatch({"train_data": 8.0})
    for pause in (1.0, 2.0):
        with watch.timing("train_step"):
            now[0] += pause
    watch.total("train")
    assert watch.seconds == {"train_data": 8.0, "train_step": 3.0, "train": 11.0}
