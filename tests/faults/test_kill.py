"""A run that is killed at any moment goes on with `--resume` as if nothing had happened."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Fault, Runs, outcome

Undisturbed = tuple[str, dict[str, Any], float]

WRITES = [
    ("os", "fsync", "kill"),
    ("os", "fsync", "kill after"),
    ("os", "replace", "kill"),
    ("os", "replace", "kill after"),
    ("pplr_cli.engine.checkpoint", "_Hashing.write", "kill"),
    ("pplr_cli.engine.trainer", "Trainer._step", "kill"),
    ("pplr_cli.engine.trainer", "Trainer._begin_epoch", "kill after"),
    ("pplr_cli.report.course", "save_weights", "kill after"),
]
"""Where to kill: around every step of every write that matters, and between them."""


def resumed(runs: Runs, folder: Path, mode: str) -> dict[str, Any]:
    process = runs.start(folder, "--resume", mode=mode)
    assert process.wait() == 0, process.text
    return outcome(folder)


@pytest.mark.parametrize(("module", "attribute", "what"), WRITES)
def test_killed_in_a_write(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, module: str, attribute: str, what: str
) -> None:
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    number = random.randrange(1, 9 if "step" in attribute or "os" in module else 2)
    fault: Fault = (module, attribute, number, what)
    process = runs.start(folder, mode=mode, faults=(fault,))
    assert process.wait() is None, f"{fault} did not kill:\n{process.text}"
    assert resumed(runs, folder, mode) == expected, fault


def kill_at_random_moments(runs: Runs, undisturbed: Undisturbed, tmp_path: Path, times: int) -> int:
    """Return how many of the runs were hit before they had ended."""
    mode, expected, seconds = undisturbed
    killed = 0
    for attempt in range(times):
        folder = tmp_path / f"run-{attempt}"
        process = runs.start(folder, mode=mode)
        time.sleep(random.uniform(0.05, 0.8) * seconds)
        process.send(signal.SIGKILL)
        killed += process.wait() is None
        assert resumed(runs, folder, mode) == expected, attempt
    return killed


def test_killed_at_random_moments(runs: Runs, undisturbed: Undisturbed, tmp_path: Path) -> None:
    kill_at_random_moments(runs, undisturbed, tmp_path, 2)


@pytest.mark.long
def test_killed_at_random_moments_for_long(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    assert kill_at_random_moments(runs, undisturbed, tmp_path, 20) > 10


@pytest.mark.long
@pytest.mark.parametrize("number", range(1, 40))
@pytest.mark.parametrize("what", ["kill", "kill after"])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_killed_at_every_write(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, name: str, what: str, number: int
) -> None:
    mode, expected, _ = undisturbed
    process = runs.start(tmp_path / "run", mode=mode, faults=(("os", name, number, what),))
    process.wait()
    assert resumed(runs, tmp_path / "run", mode) == expected
