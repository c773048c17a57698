"""Runs shared by several processes: one that dies, fails or hangs ends the run, which resumes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.app import run
from tests.faults.conftest import NAP, PATIENCE, ROOT, Process, Runs, outcome, status
from tests.faults.points import Fault

Undisturbed = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module", params=[pytest.param("train", marks=pytest.mark.long), "train-cam"])
def undisturbed(
    request: pytest.FixtureRequest, runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    folder = tmp_path_factory.mktemp("pair") / request.param
    assert ends(runs.start_pair(folder, mode=request.param)) == [0, 0]
    return request.param, outcome(folder)


def ends(processes: list[Process]) -> list[int | None]:
    return [process.wait() for process in processes]


def kill_and_resume(
    runs: Runs, undisturbed: Undisturbed, folder: Path, rank: int, fault: Fault
) -> None:
    mode, expected = undisturbed
    one = {"FAULTY_RANK": str(rank), "GRACE": "1"}
    codes = ends(runs.start_pair(folder, mode=mode, faults=(fault,), **one))
    assert codes[rank] is None
    assert codes[1 - rank] != 0
    assert ends(runs.start_pair(folder, "--resume", mode=mode)) == [0, 0]
    assert outcome(folder) == expected, fault


def test_a_killed_rank_ends_the_run_and_it_resumes(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    rank = random.randrange(2)
    fault = Fault("step", random.randrange(1, 9), "kill")
    kill_and_resume(runs, undisturbed, tmp_path / "run", rank, fault)


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(20))
def test_a_rank_killed_anywhere(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, attempt: int
) -> None:
    point, calls = [("step", 8), ("fsync", 20), ("rename", 20)][attempt % 3]
    rank = attempt % 2 if point == "step" else 0
    fault = Fault(point, random.randrange(1, calls + 1), "kill")
    kill_and_resume(runs, undisturbed, tmp_path / "run", rank, fault)


def test_a_signal_ends_all_after_the_same_step(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    mode, expected = undisturbed
    pair = runs.start_pair(tmp_path / "run", mode=mode, faults=(NAP,))
    pair[0].wait_for((tmp_path / "run" / "state.previous.pt").exists)
    pair[1].send(signal.SIGTERM)  # one of them is enough
    assert ends(pair) == [143, 143]
    assert status(tmp_path / "run")["state"] == "interrupted"
    assert ends(runs.start_pair(tmp_path / "run", "--resume", mode=mode)) == [0, 0]
    assert outcome(tmp_path / "run") == expected


def test_a_rank_that_hangs_is_named(runs: Runs, tmp_path: Path) -> None:
    start = time.monotonic()
    hang, one = Fault("step", 2, "hang"), {"FAULTY_RANK": "1", "GRACE": "1"}
    pair = runs.start_pair(tmp_path / "run", faults=(hang,), PPLR_TIMEOUT="5", **one)
    assert pair[0].wait() == 1
    assert time.monotonic() - start < 60
    assert "no answer from rank 1" in pair[0].text
    assert pair[0].text.count("error: ") == 1
    assert status(tmp_path / "run")["state"] == "failed"
    pair[1].send(signal.SIGKILL)


def test_another_number_of_processes_is_refused(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    single = runs.start(folder, faults=(NAP,))
    single.wait_for((folder / "state.previous.pt").exists)
    single.send(signal.SIGINT)
    assert single.wait() == 130
    before = status(folder)
    pair = runs.start_pair(folder, "--resume")
    assert ends(pair) == [1, 1]
    told = pair[0].text + pair[1].text
    assert told.count("error: ") == 1
    assert "another number of processes or precision: processes 1 -> 2" in told
    assert status(folder) == before
    assert ends(runs.start_pair(folder, "--resume", "--allow-inexact")) == [0, 0]


def test_devices_start_processes(runs: Runs, tmp_path: Path) -> None:
    process = runs.start(tmp_path / "run", "--devices", "2")
    assert process.wait() == 0, process.text
    assert process.text.count("weights: ") == 1
    assert process.text.count("epoch 2/2") == 1
    assert status(tmp_path / "run")["state"] == "finished"


def test_signals_to_the_launcher_reach_its_processes(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The one run here whose processes start as they do for a user."""
    folder = tmp_path / "run"
    program = [sys.executable, "-m", "pplr_cli", "train", "--preset", str(tiny_preset)]
    program += ["--data-dir", str(tiny_data), "--run-dir", str(folder), "--devices", "2"]
    program += ["--set", "optim.iters=2000", "--set", "engine.save_minutes=60"]
    with subprocess.Popen(
        program, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process, killed_on_failure(process):  # fmt: skip
        wait_for(folder / "metrics.jsonl")  # before training
        time.sleep(1.0)
        assert not (folder / "state.pt").exists()
        process.send_signal(signal.SIGUSR1)
        wait_for(folder / "state.pt")
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does for Ctrl-C
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, ""), err
    first, last = err.splitlines()
    assert first.startswith("epoch 0/2: ")
    assert last.startswith("stopped by SIGINT; the state is saved, continue with `pplr train ")
    assert "--devices 2 --resume`" in last
    assert status(folder)["code"] == 130


@contextmanager
def killed_on_failure(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Kill a process group if the block raises: `Popen` would wait for its end."""
    try:
        yield
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def wait_for(path: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, f"no {path} yet"
        time.sleep(0.01)


def test_an_exception_in_one_rank_is_told_once(runs: Runs, tmp_path: Path) -> None:
    fault = Fault("losses", 1, "I/O error")
    more = ("--devices", "2")
    process = runs.start(tmp_path / "run", *more, faults=(fault,), FAULTY_RANK="1")
    assert process.wait() == 1
    assert process.text.count("error: ") == 1, process.text
    assert "error: Input/output error\nhint: " in process.text
    assert "Traceback" not in process.text
    assert status(tmp_path / "run")["reason"] == "Input/output error"


def test_a_killed_rank_is_named_by_the_launcher(runs: Runs, tmp_path: Path) -> None:
    start = time.monotonic()
    fault = Fault("losses", 1, "kill")
    more = ("--devices", "2")
    process = runs.start(tmp_path / "run", *more, faults=(fault,), FAULTY_RANK="1")
    assert process.wait() == 1
    assert process.text.count("error: ") == 1, process.text
    assert "error: process 1 of the run was killed by SIGKILL" in process.text
    assert time.monotonic() - start < 60
    assert status(tmp_path / "run")["state"] == "failed"


def test_processes_that_cannot_share_a_batch_are_refused_before_they_start(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--data-dir", str(tiny_data), "--run-dir", str(tmp_path / "run"), "--devices", "3"]
    assert run(["train", "--preset", str(tiny_preset), *more]) == 2
    assert "3 processes cannot share the 2 replicas" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
