"""Where weights come to lie: fetched once, by one process, checked, and whole under their name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pplr_cli.errors import WeightsError
from pplr_cli.files import locked, sync_folder
from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import Entry, ImageNet, Official
from pplr_cli.weights.digest import check_sha256, holds_record, record_path, write_record
from pplr_cli.weights.sources import Published, Source

NEEDED = ("base.0.weight", "bnneck.weight", "bnneck0.weight")
"""Entries that every PPLR network has."""


def obtain(
    entry: Entry, reporter: Reporter, source: Source | None = None, force: bool = False
) -> Path:
    """Return the local file of some weights, fetching it unless it is there.

    An interrupted download is gone on with by the next call. Several processes at once fetch it
    only once.

    Args:
        entry: which weights.
        reporter: told of progress.
        source: where to take them from (default: where they are published).
        force: replace what is there.

    Raises:
        WeightsError: not to be had, not these weights, or what is there is damaged.
    """
    target = entry.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if force or not target.is_file():
        part = target.with_name(f".{target.name}.part")
        with _sole_writer(part, entry.name, reporter) as note:
            if force or not target.is_file():
                shown = (source or Published()).bring(entry, part, note, reporter)
                _take(entry, part, shown)
    elif not holds(entry):
        _check(entry, target, str(target))
        write_record(target)
        reporter.info(f"`{target}`: recorded its SHA-256")
    return target


def holds(entry: Entry) -> bool:
    """Check the local file by its SHA-256; return False where none is known for it yet.

    Raises:
        WeightsError: the file has changed.
    """
    hint = f"fetch it again: `pplr download-weights {entry.name} --force`"
    if isinstance(entry, Official):
        return holds_record(entry.target, hint)
    check_sha256(entry.target, entry.sha256, str(entry.target), hint)
    return True


def _take(entry: Entry, part: Path, shown: str) -> None:
    """Give what was fetched its final name once it is checked; what is wrong is thrown away."""
    target = entry.target
    try:
        _check(entry, part, shown)
    except WeightsError:
        part.unlink()
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())
    record_path(target).unlink(missing_ok=True)
    part.replace(target)
    if isinstance(entry, Official):
        write_record(target)
    for left in target.parent.glob(f".{target.name}.*.part"):  # cut short, from another source
        left.unlink()
    sync_folder(target.parent)


def _check(entry: Entry, file: Path, shown: str) -> None:
    """Make sure that a file holds the weights of an entry; errors call it `shown`."""
    if isinstance(entry, ImageNet):
        hint = "this is not the file that torchvision publishes: take it from another place"
        check_sha256(file, entry.sha256, shown, hint)
    else:
        _check_network(entry, file, shown)


def _check_network(entry: Official, file: Path, shown: str) -> None:
    """Make sure that a file holds the weights of a PPLR network."""
    from pplr_cli.weights.loading import read_state_dict

    try:
        tensors = read_state_dict(file).tensors
    except WeightsError as error:
        what = error.message.replace(str(file), shown)
        raise WeightsError(what, f"try again, or {entry.way_out}") from error
    missing = [name for name in NEEDED if name not in tensors]
    if missing:
        what = f"`{shown}`: no PPLR network: `{missing[0]}` is missing"
        raise WeightsError(what, "choose another file")


@contextmanager
def _sole_writer(part: Path, name: str, reporter: Reporter) -> Iterator[IO[str]]:
    """Lock a file beside `part` against other processes; yield it, it keeps notes on the part.

    It lives as long as the part does; a part without a byte is none.
    """
    lock = part.with_suffix(".lock")

    def wait() -> None:
        reporter.info(f"waiting for another process that fetches `{name}`")

    with locked(lock, wait) as file:
        try:
            yield file
        finally:
            if part.is_file() and part.stat().st_size == 0:
                part.unlink()
            if not part.exists():
                lock.unlink(missing_ok=True)
