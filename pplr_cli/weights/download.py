"""HTTP downloads that resume, are checked, and appear under their name only when whole."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pplr_cli import __version__
from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, locked, sync_folder
from pplr_cli.progress import Reporter

TIMEOUT = 15.0
"""Seconds without an answer or a byte after which a server counts as gone."""
CHUNK = 1 << 20
_WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")


def fetch(url: str, target: Path, sha256: str, reporter: Reporter, way_out: str) -> Path:
    """Download `url` to `target` unless it is there; return `target`.

    An interrupted download leaves a hidden `.part` file, which the next call goes on with if the
    server confirms that the file is still the same. Several processes at once fetch it only once.

    Args:
        url: `http` or `https`.
        target: the local file.
        sha256: how the SHA-256 of the file must begin, in hex.
        reporter: told of progress.
        way_out: the hint for a machine that cannot reach the server.

    Raises:
        WeightsError: no network, refused, cut short, a web page, or another hash.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with sole_writer(part, target.name, reporter) as note:
        if not target.is_file():
            _transfer(url, part, note, reporter, way_out)
            _check_whole(part, sha256, url)
            part.replace(target)
            sync_folder(target.parent)
    return target


def is_web_page(start: bytes) -> bool:
    """Tell by its first bytes whether a file is a web page (a quota notice, a login)."""
    return start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(file: Path, expected: str, shown: str, hint: str) -> None:
    """Check that the SHA-256 of `file`, which errors call `shown`, begins with `expected`.

    Raises:
        WeightsError: it does not; both are named.
    """
    found = file_sha256(file)
    if not (expected and found.startswith(expected)):
        what = f"wrong content: SHA-256 is {found}, expected {expected}"
        raise WeightsError(f"`{shown}`: {what}", hint)


@contextmanager
def sole_writer(part: Path, name: str, reporter: Reporter) -> Iterator[IO[str]]:
    """Lock a file beside `part` against other processes; yield it, it keeps part's validator.

    It lives as long as the part does.
    """
    lock = part.with_suffix(".lock")

    def wait() -> None:
        reporter.info(f"waiting for another process that fetches `{name}`")

    with locked(lock, wait) as file:
        try:
            yield file
        finally:
            if not part.exists():
                lock.unlink(missing_ok=True)


def _transfer(url: str, part: Path, note: IO[str], reporter: Reporter, way_out: str) -> None:
    """Bring `part` to its full length, going on where it ends if that is safe."""
    note.seek(0)
    known_url, _, validator = note.read().partition("\n")
    done = part.stat().st_size if part.is_file() and validator and known_url == url else 0
    headers = {"Range": f"bytes={done}-", "If-Range": validator} if done else {}
    with _open(url, headers, way_out) as response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        if resumed and not (response.headers["Content-Range"] or "").startswith(f"bytes {done}-"):
            raise WeightsError(f"`{url}`: the server sent another part than asked for", way_out)
        done = done if resumed else 0
        total = done + int(response.headers["Content-Length"] or 0)
        check_space(part.parent, total - done, f"`{url}`")
        note.seek(0)
        note.truncate()
        note.write(f"{url}\n{_validator(response)}")
        note.flush()
        with part.open("ab" if resumed else "wb") as file:
            for chunk in _chunks(response, url, done, total, reporter):
                file.write(chunk)


def _open(url: str, headers: dict[str, str], way_out: str) -> HTTPResponse:
    """Send the request; every refusal is a `WeightsError`, and none is tried again."""
    headers = {"User-Agent": f"pplr/{__version__}", "Accept-Encoding": "identity", **headers}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
            return _open(url, {}, way_out)
        what = f"the server answered {error.code} {error.reason}"
        raise WeightsError(f"`{url}`: {what}", way_out) from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise WeightsError(f"`{url}`: no connection ({reason})", way_out) from error
    return response


def _chunks(
    response: HTTPResponse, url: str, done: int, total: int, reporter: Reporter
) -> Iterator[bytes]:
    """Give the body piece by piece; one that is cut short or a web page raises."""
    name = url.rpartition("/")[2]
    page = response.headers.get_content_type() == "text/html"
    with reporter.task(f"fetch {name}", total, "bytes") as task:
        task.advance(done)
        while chunk := _read(response):
            if page or (done == 0 and is_web_page(chunk)):
                raise WeightsError(
                    f"`{url}`: this is a web page, not a file",
                    "open the link in a browser to see what it says",
                )
            done += len(chunk)
            task.advance(len(chunk))
            yield chunk
    if done < total:
        raise WeightsError(
            f"`{url}`: the connection ended after {done} of {total} bytes",
            "run the command again: it goes on from there",
        )


def _read(response: HTTPResponse) -> bytes:
    """Read a piece; a connection that breaks counts as ended."""
    try:
        return response.read(CHUNK)
    except (OSError, HTTPException):
        return b""


def _validator(response: HTTPResponse) -> str:
    """Return what `If-Range` needs to tell whether the file is still the same."""
    tag = response.headers["ETag"] or ""
    return tag if tag and not tag.startswith("W/") else response.headers["Last-Modified"] or ""


def _check_whole(part: Path, sha256: str, url: str) -> None:
    """Check what was fetched; what is wrong is thrown away."""
    hint = "try again; if it stays so, something between here and the server alters files"
    try:
        check_sha256(part, sha256, url, hint)
    except WeightsError:
        part.unlink()
        raise
