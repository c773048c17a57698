"""Folders that appear under their final name whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pplr_cli.errors import DataError
from pplr_cli.files import locked, sync_folder


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Yield an empty folder beside `final` that is renamed to it when the block ends well.

    If the block fails, or leaves `discard(folder)` behind, nothing stays. What a killed run left
    is removed at the start. A lock beside the folder is held from before it is made until after
    it is renamed.

    Raises:
        DataError: another process is making the same folder.
    """

    def refuse() -> None:
        raise DataError(f"`{final}`: another pplr is making it just now", "wait for it to end")

    final.parent.mkdir(parents=True, exist_ok=True)
    folder = final.with_name(f".{final.name}.staging")
    lock = final.with_name(f".{final.name}.lock")
    with locked(lock, refuse):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
            if folder.exists():
                folder.rename(final)
                sync_folder(final.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Give a staged folder up: nothing takes the final name."""
    shutil.rmtree(folder)
