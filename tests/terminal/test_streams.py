"""Streams that cannot be written end no run."""

import errno
import os
import subprocess
import sys
from io import TextIOWrapper
from pathlib import Path

import pytest

from pplr_cli.terminal.streams import GuardedStream

PRINT_MUCH = """
import sys
from pplr_cli.terminal import streams
stdout = streams.guard()
for _ in range(20_000):
    print("a line of a result \\u00e9 \\udcff")
stdout.flush()
name = type(stdout.failure).__name__ if stdout.failure else "none"
print(f"went on, failure: {name}", file=sys.stderr)
"""


def run(shell: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run PRINT_MUCH as `$PRINT` in a bash line."""
    environment = {**os.environ, "PRINT": PRINT_MUCH, "PYTHON": sys.executable, **environment}
    return subprocess.run(
        ["bash", "-c", shell], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("shell", "failure"),
    [
        ('"$PYTHON" -c "$PRINT" | head -1 > /dev/null', "BrokenPipeError"),
        ('"$PYTHON" -c "$PRINT" > /dev/full', "OSError"),
        ('"$PYTHON" -c "$PRINT" >&-', "none"),
        ('"$PYTHON" -c "$PRINT" <&- >&-', "none"),
        ('"$PYTHON" -c "$PRINT" > /dev/null', "none"),
    ],
)
def test_work_goes_on_whatever_becomes_of_stdout(shell: str, failure: str) -> None:
    done = run(shell)
    assert done.returncode == 0
    assert done.stderr == f"went on, failure: {failure}\n"


def test_closed_stderr_is_no_failure() -> None:
    done = run('"$PYTHON" -c "$PRINT" 2>&- | tail -1')
    assert done.returncode == 0
    assert done.stdout == "a line of a result é \\udcff\n"


def test_ascii_locale_escapes() -> None:
    done = run(
        '"$PYTHON" -c "$PRINT" | tail -1', LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert done.stdout == "a line of a result \\xe9 \\udcff\n"
    assert done.stderr == "went on, failure: none\n"


def test_first_failure_is_kept_and_later_writes_are_dropped(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        guarded = GuardedStream(TextIOWrapper(full, write_through=True))
        assert guarded.write("lost") == 4
        first = guarded.failure
        assert first is not None
        assert first.errno == errno.ENOSPC
        guarded.write("dropped")
        guarded.flush()
        assert guarded.failure is first
