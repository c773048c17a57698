"""Several processes share a run: killed, failing and silent ones end it, and it goes on after."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import ROOT, Fault, Process, Runs, outcome, status

STEP = ("pplr_cli.engine.trainer", "Trainer._step")


@pytest.fixture(scope="module", params=["train", "train-cam"])
def undisturbed(
    request: pytest.FixtureRequest, runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("pair") / request.param
    assert ends(runs.start_pair(folder, mode=request.param)) == [0, 0]
    return request.param, outcome(folder)


def ends(processes: list[Process]) -> list[int | None]:
    return [process.wait() for process in processes]


def kill_and_resume(
    runs: Runs, undisturbed: tuple[str, dict[str, Any]], folder: Path, rank: int, fault: Fault
) -> None:
    mode, expected = undisturbed
    faults: tuple[tuple[Fault, ...], tuple[Fault, ...]] = ((fault,), ())
    pair = runs.start_pair(folder, mode=mode, faults=faults if rank == 0 else faults[::-1])
    codes = ends(pair)
    assert codes[rank] is None
    assert codes[1 - rank] != 0
    assert ends(runs.start_pair(folder, "--resume", mode=mode)) == [0, 0]
    assert outcome(folder) == expected, fault


def test_a_killed_rank_ends_the_run_and_it_resumes(
    runs: Runs, undisturbed: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    rank = ("train", "train-cam").index(undisturbed[0])  # each mode loses another one
    fault = (*STEP, random.randrange(1, 9), "kill")
    kill_and_resume(runs, undisturbed, tmp_path / "run", rank, fault)


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(20))
def test_a_rank_killed_anywhere(
    runs: Runs, undisturbed: tuple[str, dict[str, Any]], tmp_path: Path, attempt: int
) -> None:
    places = [(*STEP, 8), ("os", "fsync", 20), ("os", "replace", 20)]
    module, name, calls = places[attempt % 3]
    fault = (module, name, random.randrange(1, calls + 1), "kill")
    rank = 0 if module == "os" else attempt % 2
    kill_and_resume(runs, undisturbed, tmp_path / "run", rank, fault)


def test_a_signal_ends_all_after_the_same_step(
    runs: Runs, undisturbed: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    mode, expected = undisturbed
    nap = (*STEP, 2, "nap")
    pair = runs.start_pair(tmp_path / "run", mode=mode, faults=((nap,), (nap,)))
    pair[0].wait_for((tmp_path / "run" / "state.previous.pt").exists)
    pair[1].send(signal.SIGTERM)  # one of them is enough
    assert ends(pair) == [143, 143]
    assert status(tmp_path / "run")["state"] == "interrupted"
    assert ends(runs.start_pair(tmp_path / "run", "--resume", mode=mode)) == [0, 0]
    assert outcome(tmp_path / "run") == expected


def test_a_rank_that_hangs_is_named(runs: Runs, tmp_path: Path) -> None:
    start = time.monotonic()
    hang = (*STEP, 2, "hang")
    pair = runs.start_pair(tmp_path / "run", faults=((), (hang,)), PPLR_TIMEOUT="5")
    assert pair[0].wait() == 1
    assert time.monotonic() - start < 60
    assert "no answer from rank 1" in pair[0].text
    assert pair[0].text.count("error: ") == 1
    assert status(tmp_path / "run")["state"] == "failed"
    pair[1].send(signal.SIGKILL)


def test_another_number_of_processes_is_refused(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    nap = (*STEP, 2, "nap")
    single = runs.start(folder, faults=(nap,))
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


def launch(
    folder: Path, preset: Path, data: Path, *more: str, patch: str = ""
) -> "subprocess.Popen[str]":
    """Start `pplr train --devices 2` as a user does; `patch` is Python run in its processes."""
    (folder.parent / "sitecustomize.py").write_text(patch)
    program = [sys.executable, "-m", "pplr_cli", "train", "--preset", str(preset)]
    program += ["--data-dir", str(data), "--run-dir", str(folder), "--devices", "2", *more]
    environment = {**os.environ, "PYTHONPATH": f"{folder.parent}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def launched(
    folder: Path, preset: Path, data: Path, *more: str, patch: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    with launch(folder, preset, data, *more, patch=patch) as process:
        out, err = process.communicate(timeout=180)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


FAIL = """
import os
if os.environ.get("RANK") == "1":
    import pplr_cli.engine.pplr as place
    def spoiled(*_):
        raise {what}
    place.PPLR.losses = spoiled
"""


def test_devices_start_processes(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> None:
    done = launched(tmp_path / "run", tiny_preset, tiny_data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights: ") == 1
    assert done.stderr.count("epoch 2/2") == 1
    assert status(tmp_path / "run")["state"] == "finished"


def test_signals_to_the_launcher_reach_its_processes(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    more = ("--set", "optim.iters=2000", "--set", "engine.save_minutes=60")
    with launch(folder, tiny_preset, tiny_data, *more) as process:
        wait_for(folder / "metrics.jsonl")  # before training
        time.sleep(1.0)
        assert not (folder / "state.pt").exists()
        process.send_signal(signal.SIGUSR1)
        wait_for(folder / "state.pt")
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does for Ctrl-C
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    first, last = err.splitlines()
    assert first.startswith("epoch 0/2: ")
    assert last.startswith("stopped by SIGINT; the state is saved, continue with `pplr train ")
    assert "--devices 2 --resume`" in last
    assert status(folder)["code"] == 130


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"no {path} yet"
        time.sleep(0.01)


def test_an_exception_in_one_rank_is_told_once(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    patch = FAIL.format(what="OSError(5, 'Input/output error')")
    done = launched(tmp_path / "run", tiny_preset, tiny_data, patch=patch)
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1, done.stderr
    assert "error: Input/output error\nhint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert status(tmp_path / "run")["reason"] == "Input/output error"


def test_a_killed_rank_is_named_by_the_launcher(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    patch = FAIL.format(what="SystemExit(os.kill(os.getpid(), 9))")
    start = time.monotonic()
    done = launched(tmp_path / "run", tiny_preset, tiny_data, patch=patch)
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1, done.stderr
    assert "error: process 1 of the run was killed by SIGKILL" in done.stderr
    assert time.monotonic() - start < 60  # the start of three processes included
    assert status(tmp_path / "run")["state"] == "failed"


def test_processes_that_cannot_share_a_batch_are_refused_before_they_start(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    done = launched(tmp_path / "run", tiny_preset, tiny_data, "--devices", "3")
    assert done.returncode == 2
    assert "3 processes cannot share the 2 replicas" in done.stderr
    assert not (tmp_path / "run").exists()
