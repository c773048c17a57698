"""A run killed at any moment resumes with the results of an undisturbed run."""

import itertools
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Runs, outcome
from tests.faults.points import Fault

Undisturbed = tuple[str, dict[str, Any], float]

WRITES = [
    ("fsync", "kill", 12),
    ("fsync", "kill after", 12),
    ("rename", "kill", 12),
    ("rename", "kill after", 12),
    ("write", "kill", 7),
    ("write", "kill after", 7),
    ("step", "kill", 8),
    ("begin epoch", "kill after", 2),
    ("save weights", "kill after", 2),
]
"""Point, fault and number of calls, one of which is chosen at random. They cover each step of each
important write, and the moments between writes."""


def resumed(runs: Runs, folder: Path, mode: str) -> dict[str, Any]:
    process = runs.start(folder, "--resume", mode=mode)
    assert process.wait() == 0, process.text
    return outcome(folder)


@pytest.mark.parametrize(("point", "what", "calls"), WRITES)
def test_killed_in_a_write(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, point: str, what: str, calls: int
) -> None:
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    fault = Fault(point, random.randint(1, calls), what)
    process = runs.start(folder, mode=mode, faults=(fault,))
    assert process.wait() is None, f"{fault} did not kill:\n{process.text}"
    assert resumed(runs, folder, mode) == expected, fault


LONGEST = 6.0
"""Seconds of a run; where busy cores make it longer, its resumed parts are killed later on."""


def kill_at_random_moments(runs: Runs, undisturbed: Undisturbed, tmp_path: Path, hits: int) -> None:
    """Kill and resume a run until it was killed `hits` times; start another one if it finishes."""
    mode, expected, seconds = undisturbed
    moments: list[float] = []
    folders = (tmp_path / f"run-{attempt}" for attempt in itertools.count())
    folder, killed = next(folders), 0
    while killed < hits:
        moments.append(random.uniform(0.05, 0.9) * min(seconds, LONGEST))
        process = runs.start(folder, "--resume", mode=mode)
        time.sleep(moments[-1])
        process.send(signal.SIGKILL)
        if process.wait() is None:
            killed += 1
        else:
            assert outcome(folder) == expected, moments
            folder = next(folders)
        assert len(moments) < 10 * hits, "hardly any run was hit"
    assert resumed(runs, folder, mode) == expected, moments


def test_killed_at_random_moments(runs: Runs, undisturbed: Undisturbed, tmp_path: Path) -> None:
    kill_at_random_moments(runs, undisturbed, tmp_path, 3)


@pytest.mark.long
def test_killed_at_random_moments_for_long(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    kill_at_random_moments(runs, undisturbed, tmp_path, 20)


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, 40))
@pytest.mark.parametrize("what", ["kill", "kill after"])
@pytest.mark.parametrize("point", ["fsync", "rename"])
def test_killed_at_every_write(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, point: str, what: str, call: int
) -> None:
    mode, expected, _ = undisturbed
    process = runs.start(tmp_path / "run", mode=mode, faults=(Fault(point, call, what),))
    process.wait()
    assert resumed(runs, tmp_path / "run", mode) == expected
