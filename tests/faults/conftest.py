"""Start `pplr` processes that meet a fault, and compare what they leave behind."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import TCPStore

from tests.faults.points import Fault

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which a process counts as hanging."""
SETTINGS = ("optim.iters=4", "engine.save_minutes=1e-9", "batch.replicas=4")

NAP = Fault("step", 2, "nap")


@dataclass
class Process:
    """A `pplr` process."""

    pid: int
    output: Path

    def alive(self) -> bool:
        """Return whether a thread is left: until the last one ends, files stay locked."""
        about = Path(f"/proc/{self.pid}")
        try:
            state = (about / "stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" or len(list((about / "task").iterdir())) > 1
        except OSError:
            return False

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Wait for the process and return its exit code; None = it was killed."""
        until = time.monotonic() + seconds
        while self.alive():
            assert time.monotonic() < until, f"still running:\n{self.text}"
            time.sleep(0.01)
        code = Path(f"{self.output}.code")
        text = code.read_text() if code.exists() else ""
        return int(text) if text else None

    @property
    def text(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert self.alive(), f"ended too early:\n{self.text}"
            assert time.monotonic() < until, f"waited in vain:\n{self.text}"
            time.sleep(0.005)

    def pending(self, number: int) -> bool:
        """Return whether a signal was sent but not yet delivered; a second one would be lost."""
        about = Path(f"/proc/{self.pid}/status").read_text()
        masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", about, re.MULTILINE)
        return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)


class Runs:
    """Starts processes that train on the tiny data set."""

    def __init__(self, server: "subprocess.Popen[str]", preset: Path, data: Path, cache: str):
        self._server, self._preset, self._data = server, preset, data
        self._environment = {"PPLR_CACHE_DIR": cache}
        self._count = 0

    def start(
        self, folder: Path, *more: str, mode: str = "train", faults: tuple[Fault, ...] = (),
        data: Path | None = None, **environment: str,
    ) -> Process:  # fmt: skip
        """Start `pplr train` on a run folder, with the tiny data set or a data folder."""
        options = ["--preset", str(self._preset), "--data-dir", str(data or self._data)]
        options += [word for setting in SETTINGS for word in ("--set", setting)]
        arguments = [mode, *options, "--run-dir", str(folder), "--workers", "1", *more]
        self._count += 1
        output = folder.with_name(f"{folder.name}-{self._count}.out")
        order = {
            "arguments": arguments,
            "environment": {**self._environment, **environment},
            "output": str(output),
            "faults": faults,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Process(int(self._server.stdout.readline()), output)

    def start_pair(
        self, folder: Path, *more: str, mode: str = "train", faults: tuple[Fault, ...] = (),
        **environment: str,
    ) -> list[Process]:  # fmt: skip
        """Start two processes that share a run, as `torchrun` would.

        Both get the faults, or only the one that `FAULTY_RANK` names.
        """
        self._store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
        shared |= {"MASTER_PORT": str(self._store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        shared |= {"TORCHELASTIC_RESTART_COUNT": "0"}
        return [
            self.start(folder, *more, mode=mode, faults=faults, **environment, **shared,
                       RANK=str(rank), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE="2")
            for rank in (0, 1)
        ]  # fmt: skip


@pytest.fixture(scope="session")
def runs(
    tiny_preset: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """The zygote that forks the processes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.zygote"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        cache = str(tmp_path_factory.getbasetemp() / "cache")
        yield Runs(server, tiny_preset, tiny_data, cache)
        assert server.stdin is not None
        server.stdin.close()
        server.send_signal(signal.SIGKILL)


def in_second_step(
    runs: Runs, folder: Path, *more: str, mode: str = "train", what: str = "nap",
    data: Path | None = None,
) -> Process:  # fmt: skip
    """Start a run and wait until its second step pauses: for a `nap` or a `sleep`."""
    process = runs.start(folder, *more, mode=mode, faults=(NAP._replace(what=what),), data=data)
    process.wait_for((folder / "state.previous.pt").exists)  # saved before and after the first
    return process


def status(folder: Path) -> dict[str, Any]:
    """Read `status.json`."""
    return dict(json.loads((folder / "status.json").read_text()))


def outcome(folder: Path) -> dict[str, Any]:
    """Return the results of a run: SHA-256 of weights, state and labels; metrics without times."""
    found: dict[str, Any] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*folder.glob("*.pth"), *folder.glob("labels/*")])
    }
    state = torch.load(folder / "state.pt", weights_only=True)
    moments = [value for each in state["optimizer"]["state"].values() for value in each.values()]
    joined = b"".join(t.numpy().tobytes() for t in [*state["network"].values(), *moments])
    found["state"] = hashlib.sha256(joined).hexdigest()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [
        {key: value for key, value in row.items() if not key.startswith("seconds")} for row in rows
    ]
    found["status"] = status(folder)["state"]
    found["strays"] = [path.name for path in folder.rglob("*.tmp")] + [
        path.name for path in folder.glob(".lock")
    ]
    return found


camera_mode = pytest.mark.parametrize("undisturbed", ["train-cam"], indirect=True)
"""For tests where the mode makes no difference: the mode with more state."""


@pytest.fixture(
    scope="session", params=[pytest.param("train", marks=pytest.mark.long), "train-cam"]
)
def undisturbed(
    request: pytest.FixtureRequest, runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], float]:
    """A mode, the results of an undisturbed run, and how many seconds it takes."""
    folder = tmp_path_factory.mktemp("undisturbed") / request.param
    start = time.monotonic()
    assert runs.start(folder, mode=request.param).wait() == 0
    seconds = time.monotonic() - start
    found = outcome(folder)
    assert found["status"] == "finished"
    assert found["strays"] == []
    return request.param, found, seconds
