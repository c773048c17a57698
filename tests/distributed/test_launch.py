"""Starting several processes, and which exit code they make together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pplr_cli.distributed.launch import _exit_code, started_by_launcher
from pplr_cli.errors import ProcessError

KILLED, ENDED = -signal.SIGKILL, -signal.SIGTERM


@pytest.mark.parametrize(("size", "expected"), [(None, False), ("1", False), ("2", True)])
def test_a_launcher_is_known_by_its_environment(
    monkeypatch: pytest.MonkeyPatch, size: str | None, expected: bool
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    assert started_by_launcher() is expected


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({0: 2, 1: 2}, 2),
        ({0: ENDED, 1: 1}, 1),
        ({0: KILLED, 1: 1}, 1),
        ({0: 143, 1: 143}, 143),
    ],
)
def test_a_process_that_told_why_decides_the_code(codes: dict[int, int], expected: int) -> None:
    assert _exit_code(codes) == expected


@pytest.mark.parametrize("codes", [{1: KILLED}, {0: ENDED, 1: KILLED}, {1: KILLED, 2: ENDED}])
def test_a_killed_process_is_named(codes: dict[int, int]) -> None:
    with pytest.raises(ProcessError, match="process 1 of the run was killed by SIGKILL") as caught:
        _exit_code(codes)
    assert "--resume" in str(caught.value.hint)


CHILD = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: (print('heard', flush=True), sys.exit(3)))
print('ready', flush=True)
signal.pause()
"""
PARENT = """
import signal, subprocess, sys
from pplr_cli.distributed.launch import _pass_on
signal.signal(signal.SIGUSR1, _pass_on)
child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), end='')
signal.raise_signal(signal.SIGUSR1)
print(child.stdout.readline(), child.wait(), end='')
"""


def test_a_signal_is_passed_on_to_the_children() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, CHILD],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "ready\nheard\n 3", done.stderr
