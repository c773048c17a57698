"""The official PPLR weights, from the authors' Google Drive folder."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pplr_cli.errors import WeightsError
from pplr_cli.files import sync_folder, write_text
from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import DRIVE_FOLDER, DRIVE_URL, Official
from pplr_cli.weights.download import TIMEOUT, check_sha256, file_sha256, sole_writer
from pplr_cli.weights.loading import read_state_dict

SUFFIXES = (".pth", ".pt", ".tar")
NEEDED = ("base.0.weight", "bnneck.weight", "bnneck0.weight")
"""Entries that every PPLR network has."""
_BY_HAND = f"download it from {DRIVE_URL} in a browser, then `pplr evaluate --weights FILE`"


@dataclass(frozen=True)
class DriveFile:
    """A file of the folder: its id and its path in the folder."""

    id: str
    path: str


def fetch_official(entry: Official, reporter: Reporter, chosen: str | None = None) -> Path:
    """Return the local file of official weights, downloading it once.

    Several processes at once fetch it only once.

    Args:
        entry: which ones.
        reporter: told of progress.
        chosen: path in the Drive folder, where the names there do not decide.

    Raises:
        WeightsError: no network, refused, no or several files that fit, or no PPLR weights.
    """
    target = entry.target
    if target.is_file():
        _check_record(target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with sole_writer(part, target.name, reporter):
        if not target.is_file():
            _fetch(entry, part, reporter, chosen)
    return target


def _fetch(entry: Official, part: Path, reporter: Reporter, chosen: str | None) -> None:
    """Download to `part`, and give it the final name once it is checked."""
    target = entry.target
    reporter.info(f"listing {DRIVE_URL}")
    file = pick(entry, list_folder(), chosen)
    try:
        _download(file, part, reporter)
        _check_network(part, file)
        write_text(_record(target), f"{file_sha256(part)}  {target.name}\n")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)


def list_folder() -> list[DriveFile]:
    """List the files of the Drive folder that can be weights."""
    import gdown

    listing = _ask(
        gdown.download_folder,
        id=DRIVE_FOLDER,
        skip_download=True,
        quiet=True,
        use_cookies=False,
        timeout=TIMEOUT,
    )
    files = [DriveFile(each.id, PurePosixPath(each.path).as_posix()) for each in listing]
    return [file for file in files if file.path.lower().endswith(SUFFIXES)]


def pick(entry: Official, files: list[DriveFile], chosen: str | None = None) -> DriveFile:
    """Return the file that `entry` means: by path if chosen, else by data set and mode."""
    if chosen is not None:
        fitting = [file for file in files if file.path == chosen]
    else:
        fitting = [file for file in files if _fits(entry, file.path)]
    if len(fitting) == 1:
        return fitting[0]
    what = "several files fit" if fitting else "no file fits"
    listing = "".join(f"\n  {file.path}" for file in fitting or files)
    raise WeightsError(
        f"`{entry.name}`: {what} in {DRIVE_URL}; there are:{listing}",
        "name one of them with --file, or download it in a browser",
    )


def _fits(entry: Official, path: str) -> bool:
    """Tell by its words whether a path names the data set and the mode."""
    text = path.lower()
    without = re.search(r"(wo|w/o|without|no)[ _-]*cam", text) is not None
    camera = "cam" in text and not without
    return entry.data_set.removesuffix("17") in text and camera == entry.camera


def _download(file: DriveFile, part: Path, reporter: Reporter) -> None:
    import gdown

    done = 0
    with reporter.task(f"fetch {file.path}", 0, "bytes") as task:

        def advance(so_far: int, _total: int | None) -> None:
            nonlocal done
            task.advance(so_far - done)
            done = so_far

        _ask(
            gdown.download,
            id=file.id,
            output=str(part),
            quiet=True,
            use_cookies=False,
            timeout=TIMEOUT,
            progress=advance,
        )


def _ask(function: Any, **options: Any) -> Any:
    """Call gdown; what goes wrong between us and Google is a `WeightsError`."""
    from gdown.exceptions import DownloadError

    try:
        return function(**options)
    except DownloadError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{DRIVE_URL}: Google Drive refuses: {reason}", _BY_HAND) from error
    except OSError as error:
        if error.errno is not None:  # of the local disk; requests' own carry no number
            raise
        raise WeightsError(f"{DRIVE_URL}: no connection ({_root(error)})", _BY_HAND) from error


def _root(error: BaseException) -> BaseException:
    """Return the first cause; requests wraps it in layers of its own."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else _root(inner)


def _check_network(part: Path, file: DriveFile) -> None:
    """Make sure that the file holds the weights of a PPLR network."""
    try:
        tensors = read_state_dict(part).tensors
    except WeightsError as error:
        what = error.message.replace(str(part), file.path)
        raise WeightsError(f"{DRIVE_URL}: {what}", _BY_HAND) from error
    missing = [name for name in NEEDED if name not in tensors]
    if missing:
        raise WeightsError(
            f"{DRIVE_URL}: `{file.path}`: no PPLR network: `{missing[0]}` is missing",
            "choose another file with --file",
        )


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _check_record(target: Path) -> None:
    """Compare a file with the SHA-256 recorded when it was downloaded."""
    record = _record(target)
    if record.is_file():
        recorded = record.read_text().strip().partition(" ")[0]
        hint = f"delete the file and `{record.name}`; it is then downloaded again"
        check_sha256(target, recorded, str(target), hint)
