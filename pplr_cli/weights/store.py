"""Stores weights under their final names: fetched once, by one process, complete and checked."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pplr_cli.errors import WeightsError
from pplr_cli.files import locked, sync_folder
from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import Entry, ImageNet, Official
from pplr_cli.weights.digest import check_sha256, record_path, write_record
from pplr_cli.weights.sources import Source

if TYPE_CHECKING:
    from pplr_cli.weights.loading import StateDict

Fits = Callable[["StateDict"], object]
"""Raises `WeightsError` if the official weights in a file belong to another network."""


def obtain(
    entry: Entry,
    reporter: Reporter,
    source: Source | None = None,
    force: bool = False,
    fits: Fits | None = None,
) -> Path:
    """Return the local file of some weights; fetch it if it is missing.

    The next call continues an interrupted download. Several processes at once fetch only once.

    Args:
        entry: which weights.
        reporter: gets the progress.
        source: where to take them from (default: where they are published).
        force: replace an existing file.
        fits: checks official weights, which have no published SHA-256.

    Raises:
        WeightsError: they cannot be fetched, are other weights, or the existing file is damaged.
    """
    target = entry.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if force or not target.is_file():
        part = target.with_name(f".{target.name}.part")
        with _sole_writer(part, entry.name, reporter) as note:
            if force or not target.is_file():
                shown = (source or Source()).bring(entry, part, note, reporter)
                _take(entry, part, shown, fits)
    elif not entry.holds():
        _check(entry, target, str(target), fits)
        write_record(target)
        reporter.info(f"`{target}`: recorded its SHA-256")
    return target


def _take(entry: Entry, part: Path, shown: str, fits: Fits | None) -> None:
    """Check a fetched file and rename it to its final name; remove it if it is wrong."""
    target = entry.target
    try:
        _check(entry, part, shown, fits)
    except WeightsError:
        part.unlink()
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())
    record_path(target).unlink(missing_ok=True)
    part.replace(target)
    if isinstance(entry, Official):
        write_record(target)
    for left in target.parent.glob(f".{target.name}.*.part"):  # interrupted, from another source
        left.unlink()
    sync_folder(target.parent)


def _check(entry: Entry, file: Path, shown: str, fits: Fits | None) -> None:
    """Check that a file holds the weights of an entry; errors call it `shown`."""
    if isinstance(entry, ImageNet):
        hint = "this is not the file that torchvision publishes: take it from another place"
        check_sha256(file, entry.sha256, shown, hint)
        return
    from pplr_cli.weights.loading import read_state_dict

    try:
        state = read_state_dict(file)
        if fits is not None:
            fits(state)
    except WeightsError as error:
        what = error.message.replace(str(file), shown)
        hint = f"these are not the official weights; {entry.way_out}"
        raise WeightsError(what, hint) from error


@contextmanager
def _sole_writer(part: Path, name: str, reporter: Reporter) -> Iterator[IO[str]]:
    """Lock a file beside `part` against other processes; yield it, it keeps notes on the part.

    It exists as long as the part does; an empty part is removed.
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
