"""Stores weights under their final names: fetched once, by one process, complete and checked."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, locked, naming, sync_folder
from pplr_cli.progress import Reporter
from pplr_cli.weights import drive
from pplr_cli.weights.catalogue import Entry, Official, StartFile
from pplr_cli.weights.digest import check_sha256, record_path, write_record
from pplr_cli.weights.download import Transfer

if TYPE_CHECKING:
    from pplr_cli.weights.loading import StateDict

Fits = Callable[["StateDict"], object]
"""Raises `WeightsError` if the weights in a file belong to another network than an entry's."""


class Source(NamedTuple):
    """A place to take weights from; without arguments the place where they are published."""

    url: str | None = None  # another web address (`http` or `https`), such as a mirror
    file: Path | None = None  # a local file, which is copied
    drive_file: str | None = None  # path in the authors' folder, if its names are ambiguous


PUBLISHED = Source()


def obtain(
    entry: Entry,
    reporter: Reporter,
    source: Source = PUBLISHED,
    force: bool = False,
    fits: Fits | None = None,
) -> Path:
    """Return the local file of some weights; fetch it if it is missing.

    The next call continues an interrupted download. Several processes at once fetch only once.
    `force` replaces an existing file; `fits` checks weights that have no published SHA-256.

    Raises:
        WeightsError: they cannot be fetched, are other weights, or the existing file is damaged.
    """
    target = entry.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if force or not target.is_file():
        part = target.with_name(f".{target.name}.part")
        with _sole_writer(part, entry.name, reporter) as note:
            if force or not target.is_file():
                shown = _bring(source, entry, part, note, reporter)
                _take(entry, part, shown, fits)
    elif not entry.holds():
        _check(entry, target, str(target), fits)
        write_record(target)
        reporter.info(f"`{target}`: recorded its SHA-256")
    return target


def _bring(source: Source, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
    """Bring the file of `entry` to `part`; return what errors about its content call it."""
    if source.file is not None:
        note.truncate(0)  # `part` is no download any more
        _copy(source.file, part)
        return str(source.file)
    if source.url is None and isinstance(entry, Official):
        return drive.fetch(entry, part, reporter, source.drive_file)
    if source.url is None and isinstance(entry, StartFile) and not entry.start.direct:
        raise WeightsError(
            f"`{entry.name}`: its authors link to it on a page, for a browser",
            f"open {entry.way_out.removeprefix('fetch ')}",
        )
    url = source.url or entry.url
    Transfer(url, entry.way_out, reporter).to(part, note)
    return url


def _copy(file: Path, part: Path) -> None:
    if not file.is_file():
        what = "a folder, not a weights file" if file.is_dir() else "no such file"
        raise WeightsError(f"`{file}`: {what}", "check the path of the file")
    check_space(part.parent, file.stat().st_size, f"`{file}`")
    with naming(part):
        shutil.copyfile(file, part)


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
    if not entry.sha256:
        write_record(target)
    for left in target.parent.glob(f".{target.name}.*.part"):  # interrupted, from another source
        left.unlink()
    sync_folder(target.parent)


def _check(entry: Entry, file: Path, shown: str, fits: Fits | None) -> None:
    """Check that a file holds the weights of an entry; errors call it `shown`."""
    if entry.sha256:
        hint = f"this is not the file of {entry.url}: take it from another place"
        check_sha256(file, entry.sha256, shown, hint)
        return
    from pplr_cli.weights.loading import read_state_dict

    try:
        state = read_state_dict(file)
        if fits is not None:
            fits(state)
    except WeightsError as error:
        what = error.message.replace(str(file), shown)
        hint = f"these are not the published weights; {entry.way_out}"
        raise WeightsError(what, hint) from error


@contextmanager
def _sole_writer(part: Path, name: str, reporter: Reporter) -> Iterator[IO[str]]:
    """Lock a file beside `part` against other processes; yield it, it keeps notes on the part.

    It exists as long as the part does; an empty part is removed.
    """
    lock, busy = part.with_suffix(".lock"), f"waiting for another process that fetches `{name}`"
    with locked(lock, lambda: reporter.info(busy), keep=part.exists) as file:
        try:
            yield file
        finally:
            if part.is_file() and part.stat().st_size == 0:
                part.unlink()
