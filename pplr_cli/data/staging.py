"""Folders that appear under their final name whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pplr_cli.errors import DataError
from pplr_cli.files import sync_folder

LOCK = ".lock"


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Yield an empty folder beside `final` that is renamed to it when the block ends well.

    If the block fails, or leaves `discard(folder)` behind, nothing stays. Folders that killed
    runs left are removed at the start; a live one (its lock is held) is an error.

    Raises:
        DataError: another process is making the same folder.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(final)
    folder = final.with_name(f".{final.name}.{os.getpid()}.staging")
    folder.mkdir()
    try:
        with (folder / LOCK).open("wb") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield folder
        if folder.exists():
            (folder / LOCK).unlink()
            folder.rename(final)
            sync_folder(final.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Give a staged folder up: nothing takes the final name."""
    shutil.rmtree(folder)


def _remove_stale(final: Path) -> None:
    for folder in final.parent.iterdir():
        if not (folder.name.startswith(f".{final.name}.") and folder.suffix == ".staging"):
            continue
        if _is_live(folder / LOCK):
            hint = "wait for it to end"
            raise DataError(f"`{final}`: another pplr is making it just now", hint)
        shutil.rmtree(folder, ignore_errors=True)


def _is_live(lock: Path) -> bool:
    try:
        with lock.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
