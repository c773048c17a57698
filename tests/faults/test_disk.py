"""Full and read-only disks: the run ends cleanly and keeps what it has saved."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pplr_cli.engine.checkpoint import load_state
from tests.faults.conftest import NAP, Runs, camera_mode, in_second_step, outcome, status
from tests.faults.points import Fault

MIB = 1 << 20


class Disk(NamedTuple):
    """A small file system that only processes which join the namespace of `pid` see at `path`.

    Attributes:
        path: where they see it.
        pid: the process that keeps it.
    """

    path: Path
    pid: int

    @property
    def seen(self) -> Path:
        """The path for this process."""
        return Path(f"/proc/{self.pid}/root{self.path}")

    def fill(self, leave: int) -> Path:
        """Leave `leave` bytes free; return the file that fills the rest."""
        room = os.statvfs(self.seen)
        filler = self.seen / "filler"
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_bsize - leave)))
        return filler


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A tmpfs with the mount options of the test (default: 40 MiB)."""
    path = tmp_path / "disk"
    path.mkdir()
    options = getattr(request, "param", "size=40m")
    script = f"mount -t tmpfs -o {options} none '{path}' && echo ready && exec sleep 600"
    with subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as keeper:  # fmt: skip
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() != "ready\n":
            pytest.skip(f"no file system of one's own here: {keeper.stderr.read().strip()}")
        yield Disk(path, keeper.pid)
        keeper.kill()


@camera_mode
def test_a_full_disk_ends_the_run_and_it_resumes_once_there_is_room(
    runs: Runs, undisturbed: tuple[str, dict[str, object], float], disk: Disk
) -> None:
    mode, expected, _ = undisturbed
    seen = disk.seen / "run"
    process = runs.start(disk.path / "run", mode=mode, faults=(NAP,), DISK=str(disk.pid))
    process.wait_for((seen / "state.previous.pt").exists)
    filler = disk.fill(leave=MIB)
    assert process.wait() == 1
    assert "saving the state of the run needs " in process.text
    free = r" [\d.]+ [kM]B are free\nhint: make room there; `--resume` continues"
    assert re.search(free, process.text)
    assert "Traceback" not in process.text
    load_state(seen / "state.pt")
    load_state(seen / "state.previous.pt")
    assert not list(seen.glob(".*.tmp"))
    filler.unlink()
    again = runs.start(disk.path / "run", "--resume", mode=mode, DISK=str(disk.pid))
    assert again.wait() == 0, again.text
    assert outcome(seen) == expected


def test_a_disk_that_fills_while_the_state_is_written(runs: Runs, tmp_path: Path) -> None:
    """Simulated by a limit on the size of a file."""
    folder = tmp_path / "run"
    options = ("--set", "evaluation.at_start=false")  # no weights before the first state
    process = runs.start(folder, *options, FILE_LIMIT=str(MIB // 4))
    assert process.wait() == 1
    assert f"error: `{folder / 'state.pt'}`: File too large: saving the state" in process.text
    assert "unexpected pos" not in process.text
    assert not (folder / "state.pt").exists()
    assert not list(folder.glob(".*.tmp"))
    assert status(folder)["state"] == "failed"
    assert runs.start(folder, *options, "--resume").wait() == 0


def test_weights_that_find_no_room(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fault = Fault("write", 7, "disk full")  # after weights and five states
    process = runs.start(folder, faults=(fault,))
    assert process.wait() == 1
    assert ": No space left on device: saving the weights needs " in process.text
    assert runs.start(folder, "--resume").wait() == 0


def test_a_log_that_cannot_be_written_ends_nothing(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = in_second_step(runs, folder)
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    (folder / "log.txt").unlink()
    (folder / "log.txt").symlink_to("/dev/full")
    again = runs.start(folder, "--resume")
    assert again.wait() == 0, again.text
    assert again.text.count("warning: the log ends here: No space left on device") == 1
    assert status(folder)["state"] == "finished"


@camera_mode
def test_metrics_that_cannot_be_written_are_made_up_for(
    runs: Runs, undisturbed: tuple[str, dict[str, object], float], tmp_path: Path
) -> None:
    mode, expected, _ = undisturbed
    fault = Fault("record", 2, "disk full")
    process = runs.start(tmp_path / "run", mode=mode, faults=(fault,))
    assert process.wait() == 0, process.text
    assert "the epoch is not recorded\nhint: training continues" in process.text
    found = outcome(tmp_path / "run")
    assert found["metrics"] == expected["metrics"]
    assert found["best.pth"] == expected["best.pth"]


@pytest.mark.parametrize("disk", ["size=40m,ro"], indirect=True)
def test_a_read_only_output_shows_at_the_start(runs: Runs, disk: Disk) -> None:
    process = runs.start(disk.path / "run", DISK=str(disk.pid))
    assert process.wait() == 1
    assert process.text.startswith(f"error: `{disk.path / 'run'}`: Read-only file system\n")
