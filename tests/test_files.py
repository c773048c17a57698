"""What stands under a final name is whole."""

import errno
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.errors import PplrError, UsageError
from pplr_cli.files import (
    atomic_write,
    check_output,
    check_space,
    locked,
    naming,
    native,
    open_output,
    portable,
    sync_folder,
    write_text,
)


def test_text_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "one é\n")
    write_text(path, "two é\n")
    assert path.read_bytes() == "two é\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_failing_block_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the new")
            assert path.read_bytes() == b"old"
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_appears_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_content_is_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        synced.append((kind, path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, "x")
    assert synced == [("file", False), ("folder", True)]


def test_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.txt"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(path, "x")
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_only_nameless_errors_of_the_disk_are_named(tmp_path: Path) -> None:
    for error, expected in (
        (OSError(errno.ENOSPC, "full"), str(tmp_path)),
        (OSError(errno.ENOSPC, "full", "other"), "other"),
        (OSError(errno.ECONNRESET, "reset"), None),
    ):
        with pytest.raises(OSError, match=r"full|reset") as caught, naming(tmp_path):
            raise error
        assert caught.value.filename == expected


def test_error_on_the_temporary_file_names_the_final_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError) as caught:
        write_text(tmp_path / "a.txt", "x")
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_foreign_errors_keep_their_file(tmp_path: Path) -> None:
    def read_missing() -> None:
        with atomic_write(tmp_path / "a.bin") as file:
            file.write((tmp_path / "missing").read_bytes())

    with pytest.raises(FileNotFoundError) as caught:
        read_missing()
    assert caught.value.filename == str(tmp_path / "missing")


def test_file_systems_without_folder_sync_are_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        def fsync(handle: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)

    refuse(errno.EINVAL)
    sync_folder(tmp_path)
    refuse(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(tmp_path)


HOLD = """
import sys
from contextlib import suppress
from pathlib import Path
from pplr_cli.files import locked
lock = Path(sys.argv[1])
with locked(lock, sys.exit):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(lock: Path) -> "subprocess.Popen[str]":
    """Another process that holds a lock until it is told to go."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_that_was_removed_while_it_was_waited_for_is_not_enough(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    holders = [holder(lock)]

    def busy() -> None:
        holders[-1].communicate("\n")
        if len(holders) == 1:
            holders.append(holder(lock))

    with locked(lock, busy):
        assert [process.poll() for process in holders] == [0, 0]
        assert lock.exists()


def test_what_does_not_fit_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_500_000))
    check_space(tmp_path, 1_500_000, "it")
    with pytest.raises(PplrError) as caught:
        check_space(tmp_path, 2_300_000, "it")
    assert caught.value.message == f"`{tmp_path}`: it needs 2.3 MB, 1.5 MB are free"
    assert caught.value.hint == "make room there"


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_portable_names_are_utf8_and_come_back(name: bytes) -> None:
    text = portable(os.fsdecode(name))
    assert text.encode(errors="surrogateescape") == name
    assert native(text) == os.fsdecode(name)


# outputs that the user named


def write(path: Path, content: bytes = b"new", *, overwrite: bool = False) -> None:
    with open_output(path, overwrite=overwrite) as file:
        file.write(content)


def test_an_output_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "made" / "x.csv"
    write(path, b"mine")
    with pytest.raises(UsageError, match=r"x\.csv`: the file exists already") as caught:
        write(path)
    assert caught.value.hint == "name another one, or replace it with --overwrite"
    assert path.read_bytes() == b"mine"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new"


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, hollow = tmp_path / "link.csv", tmp_path / "hollow.csv"
    link.symlink_to("real/x.csv")
    hollow.symlink_to("real/y.csv")
    (tmp_path / "real" / "x.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write(link)
    write(link, overwrite=True)
    write(hollow)
    for path, name in ((link, "x.csv"), (hollow, "y.csv")):
        assert path.is_symlink()
        assert (tmp_path / "real" / name).read_bytes() == b"new"
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(PplrError, match="links in a circle"):
        write(tmp_path / "circle")


def test_devices_and_pipes_are_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert pipe.is_fifo()
    write(Path("/dev/null"))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(Path("/dev/full"))
    assert caught.value.filename == "/dev/full"
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("folder", [False, True])
def test_what_cannot_be_written_makes_no_folder(tmp_path: Path, folder: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    cases = {} if folder else {"lost/..": "is a folder"}
    cases |= {
        "file/below": "file` is a file",
        f"new/{'x' * 300}": "the name is too long",
        ("file" if folder else "folder"): "not a folder" if folder else "is a folder",
    }
    for place, what in cases.items():
        with pytest.raises(PplrError, match=what):
            check_output(tmp_path / place, overwrite=True, folder=folder)
    for place in ("new/x", "/sys/new", "/proc/self/new"):
        with suppress(PplrError):
            check_output(tmp_path / place, overwrite=False, folder=folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_with_files_is_used_only_if_asked(tmp_path: Path) -> None:
    check_output(tmp_path, overwrite=False, folder=True)
    check_output(tmp_path / "new" / "one", overwrite=False, folder=True)
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="the folder is not empty"):
        check_output(tmp_path, overwrite=False, folder=True)
    check_output(tmp_path, overwrite=True, folder=True)
