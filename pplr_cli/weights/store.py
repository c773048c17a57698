"""Where weights come to lie: fetched once, by one process, checked, and whole under their name."""

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
from pplr_cli.weights.sources import Published, Source

if TYPE_CHECKING:
    from pplr_cli.weights.loading import StateDict

Fits = Callable[["StateDict"], object]
"""Raises `WeightsError` if the official weights in a file are of another network."""


def obtain(
    entry: Entry,
    reporter: Reporter,
    source: Source | None = None,
    force: bool = False,
    fits: Fits | None = None,
) -> Path:
    """Return the local file of some weights, fetching it unless it is there.

    An interrupted download is gone on with by the next call. Several processes at once fetch it
    only once.

    Args:
        entry: which weights.
        reporter: told of progress.
        source: where to take them from (default: where they are published).
        force: replace what is there.
        fits: makes sure that official weights, which have no published SHA-256, are what they
            shall be.

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
                _take(entry, part, shown, fits)
    elif not entry.holds():
        _check(entry, target, str(target), fits)
        write_record(target)
        reporter.info(f"`{target}`: recorded its SHA-256")
    return target


def _take(entry: Entry, part: Path, shown: str, fits: Fits | None) -> None:
    """Give what was fetched its final name once it is checked; what is wrong is thrown away."""
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
    for left in target.parent.glob(f".{target.name}.*.part"):  # cut short, from another source
        left.unlink()
    sync_folder(target.parent)


def _check(entry: Entry, file: Path, shown: str, fits: Fits | None) -> None:
    """Make sure that a file holds the weights of an entry; errors call it `shown`."""
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
        hint = f"this is no file of the official weights; {entry.way_out}"
        raise WeightsError(what, hint) from error


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
