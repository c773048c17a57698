"""Seconds of each stage, and moments as text."""

import time

import pytest

from pplr_cli.timing import Stopwatch, to_minute


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Stopwatch({"train_data": 8.0})
    for pause in (1.0, 2.0):
        with watch.timing("train_step"):
            now[0] += pause
    watch.total("train")
    assert watch.seconds == {"train_data": 8.0, "train_step": 3.0, "train": 11.0}


def test_a_moment_for_people() -> None:
    assert to_minute("2026-11-27T09:05:59+00:00") == "2026-11-27 09:05 UTC"
