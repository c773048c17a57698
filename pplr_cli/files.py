"""Writing files: nothing partial under a final name, one writer at a time, room on the disk."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pplr_cli.errors import PplrError

MEGABYTE = 1_000_000
TEMPORARY = ".tmp"
"""How the names of unfinished files end; a killed process may leave one behind."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How files begin that stand for a file which Git LFS has not fetched."""
_WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def is_web_page(start: bytes) -> bool:
    """Return whether a file that starts so is a web page (a quota notice, a login)."""
    return start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES)


def portable(name: str) -> str:
    """Return a file name as text that is the same in every locale.

    Python spells names as the locale has it; here they are UTF-8, and bytes that are none stand as
    lone surrogates.
    """
    return os.fsencode(name).decode(errors="surrogateescape")


def native(text: str) -> str:
    """Return the file name that `portable` made the text of, as this locale spells it."""
    return os.fsdecode(text.encode(errors="surrogateescape"))


@contextmanager
def atomic_write(path: Path, mode: str = "wb", keep: Path | None = None) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place when the block ends well.

    Written, flushed, synced, renamed, and the folder synced: after a crash `path` holds either
    the old content or the whole new one. Yields a file opened with `mode` ("wb", or "w" = UTF-8).
    An `OSError` of writing (disk full, read-only) names `path`.

    With `keep` the old content gets that name first; after a crash it may be all there is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with naming(path), temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the disk (full, read-only) that name no file name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_THE_DISK:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path, "w") as file:
        file.write(text)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` last beyond a power cut, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems sync no folders
            raise
    finally:
        os.close(handle)


@contextmanager
def locked(lock: Path, busy: Callable[[], None]) -> Iterator[IO[str]]:
    """Keep other processes out while the block runs; yield the lock file, open for reading too.

    It stays until somebody removes it, which only its holder may do, inside the block.

    Args:
        lock: a file beside what it guards; it is made where there is none.
        busy: called if another process holds it; then it is waited for.
    """
    while True:
        with lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                busy()
                fcntl.lockf(file, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(file.fileno())):
                yield file
                return
        # its last holder has removed it, and the next may hold another


def check_space(folder: Path, needed: int, what: str, hint: str = "make room there") -> None:
    """Refuse before the start what cannot fit on the disk.

    Args:
        folder: where it shall be written; it exists.
        needed: bytes.
        what: what takes them, the subject of the message.
        hint: the way out.

    Raises:
        PplrError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        room = f"needs {needed / MEGABYTE:,.1f} MB, {free / MEGABYTE:,.1f} MB are free"
        raise PplrError(f"`{folder}`: {what} {room}", hint)
