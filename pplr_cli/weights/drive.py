"""The official PPLR weights, from the authors' Google Drive folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space
from pplr_cli.progress import Reporter
from pplr_cli.text import listed
from pplr_cli.weights.catalogue import DRIVE_FOLDER, DRIVE_URL, Official
from pplr_cli.weights.download import TIMEOUT, root_cause

SUFFIXES = (".pth", ".pt", ".tar")
_QUOTA = re.compile("quota|too many (users|accesses)", re.IGNORECASE)
_NOT_UNDERSTOOD = (ArithmeticError, AssertionError, AttributeError, LookupError, ValueError)


class DriveFile(NamedTuple):
    """A file of the folder: its id and its path in the folder."""

    id: str
    path: str

    @property
    def url(self) -> str:
        """Its page for a browser."""
        return f"https://drive.google.com/file/d/{self.id}/view"


def fetch(entry: Official, part: Path, reporter: Reporter, chosen: str | None = None) -> str:
    """Download official weights to `part`, continuing an interrupted download.

    `chosen` is the path in the Drive folder, if the names there are ambiguous. Returns the name of
    the file in errors about its content.

    Raises:
        WeightsError: no network, refused, or no or several files that fit.
    """
    reporter.info(f"listing {DRIVE_URL}")
    file = pick(entry, list_folder(entry), chosen)
    whole = part.with_suffix(f".{file.id}")
    _download(entry, file, whole, reporter)
    whole.replace(part)
    return f"{file.path} of {DRIVE_URL}"


def list_folder(entry: Official) -> list[DriveFile]:
    """List the files of the Drive folder that can be weights.

    Raises:
        WeightsError: no network, refused, or a gdown that is too old.
    """
    with _asking(DRIVE_URL, entry.way_out) as gdown:
        listing = gdown.download_folder(
            id=DRIVE_FOLDER, skip_download=True, quiet=True, use_cookies=False, timeout=TIMEOUT
        )
    found = [each for each in listing if not isinstance(each, str)]  # those would be downloads
    files = [DriveFile(each.id, PurePosixPath(each.path).as_posix()) for each in found]
    return [file for file in files if file.path.lower().endswith(SUFFIXES)]


def pick(entry: Official, files: list[DriveFile], chosen: str | None = None) -> DriveFile:
    """Return the file of an entry: by path if chosen, else by data set and mode.

    Raises:
        WeightsError: none or several match; the message lists them.
    """
    fitting = [
        file
        for file in files
        if (_fits(entry, file.path) if chosen is None else file.path == chosen)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not files:
        raise WeightsError(f"`{entry.name}`: {DRIVE_URL} lists no weights files", entry.way_out)
    what = "several files fit" if fitting else "no file fits"
    listing = listed([file.path for file in fitting or files])
    raise WeightsError(
        f"`{entry.name}`: {what} in {DRIVE_URL}; there are:\n{listing}",
        f"name one of them: `pplr download-weights {entry.name} --drive-file PATH`",
    )


def _fits(entry: Official, path: str) -> bool:
    """Return whether a path contains the words of the data set and the mode."""
    text = path.lower()
    without = re.search(r"(wo|w/o|without|no)[ _-]*cam", text) is not None
    camera = "cam" in text and not without
    return entry.data_set.removesuffix("17") in text and camera == entry.camera


def _download(entry: Official, file: DriveFile, path: Path, reporter: Reporter) -> None:
    """Download a file; an interrupted download stays beside `path` and is continued next time."""
    check_space(path.parent, entry.size, f"`{file.path}`")
    way_out, title, done = entry.by_hand(file.url), f"fetch {file.path}", 0
    progress = reporter.task(title, entry.size, "bytes")
    with _asking(file.url, way_out) as gdown, progress as task:

        def advance(so_far: int, _: int | None) -> None:
            nonlocal done
            task.advance(so_far - done)
            done = so_far

        try:
            gdown.download(
                id=file.id, output=str(path), resume=True, quiet=True, use_cookies=False,
                timeout=TIMEOUT, progress=advance,
            )  # fmt: skip
        except gdown.DownloadError as error:
            if error.__cause__ is None and not isinstance(error, gdown.FileURLRetrievalError):
                for part in path.parent.glob(f"{path.name}????????.part"):
                    part.unlink()  # complete: the server has another file now
            raise


@contextmanager
def _asking(url: str, way_out: str) -> Iterator[Any]:
    """Yield gdown, and turn its errors and those of the network into a `WeightsError`."""
    import requests

    try:
        import gdown
        from gdown.exceptions import DownloadError
    except ImportError as error:
        hint = "`pip install --upgrade gdown` (boxmot replaces it by an older version)"
        raise WeightsError(f"gdown cannot be used: {error}", hint) from error
    try:
        yield gdown
    except (DownloadError, requests.HTTPError) as error:
        raise _refusal(url, str(error), way_out) from error
    except requests.RequestException as error:
        raise WeightsError(f"`{url}`: no connection ({root_cause(error)})", way_out) from error
    except _NOT_UNDERSTOOD as error:
        what = f"an answer that gdown does not understand ({type(error).__name__}: {error})"
        raise WeightsError(f"`{url}`: {what}", way_out) from error


def _refusal(url: str, text: str, way_out: str) -> WeightsError:
    """Return the error for a message of gdown: its reason without its advice."""
    if _QUOTA.search(text):
        what = "Google Drive's download quota of this file is used up"
        return WeightsError(f"`{url}`: {what}", f"try again in 24 hours, or {way_out}")
    if status := re.search(r"(?:^|status code )(\d{3})\b", text):
        return WeightsError(f"`{url}`: Google Drive answered {status[1]}", way_out)
    if cut := re.search(r"received (\d+) bytes but the server announced (\d+)", text):
        what = f"the connection ended after {cut[1]} of {cut[2]} bytes"
        return WeightsError(f"`{url}`: {what}", "run the command again: it continues there")
    reason = re.search(r"url:\s+(.*?)\s+You may", text, re.DOTALL)
    said = " ".join((reason[1] if reason else text).split())
    return WeightsError(f"`{url}`: Google Drive refuses: {said}", way_out)
