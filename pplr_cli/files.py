"""Write files atomically, one writer at a time, after checking the free disk space."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pplr_cli.errors import PplrError, UsageError
from pplr_cli.text import sized

TEMPORARY = ".tmp"
"""Suffix of unfinished files; a killed process can leave one behind."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""First bytes of a file whose content Git LFS has not fetched."""
_WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
LONGEST_NAME = 240
"""Bytes of a file name that leave room for the name of a temporary file."""
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def is_web_page(start: bytes) -> bool:
    """Return whether a file with these first bytes is a web page (a quota notice, a login)."""
    return start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES)


def portable(name: str) -> str:
    """Decode a file name as UTF-8 in every locale; other bytes become lone surrogates."""
    return os.fsencode(name).decode(errors="surrogateescape")


def native(text: str) -> str:
    """Return the file name of a `portable` text in the encoding of this locale."""
    return os.fsdecode(text.encode(errors="surrogateescape"))


@contextmanager
def atomic_write(path: Path, mode: str = "wb", keep: Path | None = None) -> Iterator[IO[Any]]:
    """Yield a temporary file that replaces `path` if the block succeeds.

    File and folder are synced: after a crash `path` has either the old content or the new one.

    Args:
        path: an `OSError` of writing (disk full, read-only) names it.
        mode: "wb", or "w" for UTF-8.
        keep: new name of the old file; after a crash there may be no `path`, only this one.
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


def check_output(path: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Refuse an output that a command must not or cannot write; create nothing.

    Args:
        path: a file or, with `folder`, a folder that the user named.
        overwrite: whether a file may be replaced, or a folder may contain files.
        folder: whether `path` names a folder.

    Raises:
        UsageError: the output exists, is of the wrong kind, or is below a file.
        PplrError: it cannot be created there.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and target.is_dir() != folder:
        what = "not a folder" if folder else "is a folder"
        raise UsageError(f"`{path}`: {what}", f"name a {'folder' if folder else 'file'}")
    if not overwrite and (path.is_file() or (folder and path.exists() and any(path.iterdir()))):
        what = "the folder is not empty" if folder else "the file exists already"
        raise UsageError(f"`{path}`: {what}", "name another one, or replace it with --overwrite")
    if path.exists() and not path.is_dir() and not path.is_file():
        return  # a device or a pipe
    above = target if folder else target.parent
    parent = next(each for each in (above, *above.parents) if each.exists())
    if not parent.is_dir():
        raise UsageError(f"`{path}`: `{parent}` is a file", "name another path")
    if target.is_symlink() or not os.access(parent, os.W_OK | os.X_OK):
        what = "links in a circle" if target.is_symlink() else f"`{parent}` is not writable"
        raise PplrError(f"`{path}`: {what}", "name another path")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in target.parts):
        raise PplrError(f"`{path}`: the name is too long", "name another path")


@contextmanager
def open_output(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Open a file that the user named, checked as by `check_output`.

    A regular file is written atomically, through links; a device or a pipe directly.
    """
    check_output(path, overwrite=overwrite)
    if not path.exists() or path.is_file():
        with atomic_write(Path(os.path.realpath(path))) as file:
            yield file
        return
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def remove_numbered(folder: Path, suffix: str) -> None:
    """Delete the files `<number>-...<suffix>` that an earlier call wrote into a folder."""
    for path in folder.glob(f"*{suffix}"):
        if path.name.partition("-")[0].isdigit():
            path.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add `path` to disk errors (full, read-only) that name no file."""
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
    """Make a rename inside `folder` durable, if the file system supports it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync folders
            raise
    finally:
        os.close(handle)


@contextmanager
def locked(
    lock: Path, busy: Callable[[], None], keep: Callable[[], bool] = lambda: False
) -> Iterator[IO[str]]:
    """Hold an exclusive lock while the block runs; yield the lock file, open for reading too.

    Args:
        lock: the lock file; created if missing, and deleted at the end.
        busy: called before waiting for another process.
        keep: whether the file is kept at the end.
    """
    while True:
        with lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                busy()
                fcntl.lockf(file, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(file.fileno())):
                try:
                    yield file
                finally:
                    if not keep():
                        lock.unlink(missing_ok=True)
                return
        # the last holder deleted the file: lock the new one


def check_space(folder: Path, needed: int, what: str, hint: str = "make room there") -> None:
    """Raise `PplrError` if fewer than `needed` bytes are free in an existing folder.

    Args:
        folder: where the data is written.
        needed: bytes.
        what: subject of the message.
        hint: hint of the message.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        room = f"needs {sized(needed)}, {sized(free)} are free"
        raise PplrError(f"`{folder}`: {what} {room}", hint)
