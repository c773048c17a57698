"""Signals end a run without losing work, or make it save."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import NAP, Runs, in_second_step, outcome, status
from tests.faults.points import Fault

Undisturbed = tuple[str, dict[str, Any], float]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_after_the_step(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    process = in_second_step(runs, folder, mode=mode)
    process.send(number)
    assert process.wait() == code
    said = status(folder)
    assert (said["state"], said["reason"], said["code"]) == ("interrupted", number.name, code)
    command = f"pplr {mode} --data-dir"
    assert f"stopped by {number.name}; the state is saved, continue with `{command}" in process.text
    assert "--resume" in process.text
    again = runs.start(folder, "--resume", mode=mode)
    assert again.wait() == 0
    assert "resumed in epoch 1, step 2\n" in again.text
    assert outcome(folder) == expected


def test_a_second_signal_ends_it_at_once(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    process = in_second_step(runs, folder, mode=mode, what="sleep")
    process.send(signal.SIGINT)
    process.wait_for(lambda: not process.pending(signal.SIGINT))
    time.sleep(0.2)
    start = time.monotonic()
    process.send(signal.SIGINT)
    process.wait()
    assert time.monotonic() - start < 1.0
    assert runs.start(folder, "--resume", mode=mode).wait() == 0
    assert outcome(folder) == expected


def test_a_signal_while_saving_waits_for_the_end_of_it(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, faults=(Fault("write", 2, "nap after"),))
    process.wait_for((folder / "state.pt").exists)
    time.sleep(0.5)
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    assert not list(folder.glob("*.tmp"))
    assert (folder / "state.previous.pt").exists()


def test_the_warning_before_a_preemption_saves_and_goes_on(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, "--set", "engine.save_minutes=60", faults=(NAP,))
    process.wait_for(lambda: (folder / "log.txt").exists())
    time.sleep(0.8)
    assert not (folder / "state.pt").exists()
    process.send(signal.SIGUSR1)
    process.wait_for((folder / "state.pt").exists)
    assert process.wait() == 0


def test_an_ignored_hang_up_stays_ignored(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, faults=(NAP,), IGNORE_HANG_UP="1")
    process.wait_for((folder / "state.pt").exists)
    process.send(signal.SIGHUP)
    assert process.wait() == 0


def test_before_anything_is_saved_it_says_so(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, faults=(Fault("extract", 1, "nap"),))
    process.wait_for((folder / "log.txt").exists)
    time.sleep(0.5)
    process.send(signal.SIGINT)
    assert process.wait() == 130
    assert "stopped by SIGINT; nothing was saved yet, start again with `pplr train" in process.text
    again = runs.start(folder, "--resume")
    assert again.wait() == 0
    assert "no saved state yet; starting from the beginning" in again.text
