"""HTTP downloads that resume, and end with either the whole file or an error."""

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pplr_cli import __version__
from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, naming
from pplr_cli.progress import Reporter

TIMEOUT = 15.0
"""Seconds without an answer or a byte after which a server counts as gone."""
ATTEMPTS = 6
"""How often a server that is busy (429) or failing (5xx) is asked."""
PATIENCE = 60.0
"""Seconds that one pause between two attempts may last; who asks for more is believed."""
CHUNK = 1 << 20
_WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def transfer(url: str, part: Path, note: IO[str], reporter: Reporter, way_out: str) -> None:
    """Download `url` to `part`, going on where it ends if the server has the same file still.

    Args:
        url: `http` or `https`.
        part: what a download that was cut short left, or nothing yet; kept if this one is cut.
        note: open text file that keeps the address and the validator of `part`.
        reporter: told of progress.
        way_out: the hint for a machine that cannot reach the server.

    Raises:
        WeightsError: no network, refused, cut short, or a web page.
    """
    note.seek(0)
    known_url, _, validator = note.read().partition("\n")
    done = part.stat().st_size if part.is_file() and validator and known_url == url else 0
    with _ask(url, done, validator, reporter, way_out) as response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        done = done if resumed else 0
        total = _total(response, done)
        check_space(part.parent, total - done, f"`{url}`")
        with naming(part), part.open("ab" if resumed else "wb") as file:
            note.seek(0)
            note.truncate()
            note.write(f"{url}\n{_validator(response)}")  # after old bytes are gone
            note.flush()
            for chunk in _chunks(response, url, done, total, reporter):
                file.write(chunk)


def is_web_page(start: bytes) -> bool:
    """Tell by its first bytes whether a file is a web page (a quota notice, a login)."""
    return start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES)


def _ask(url: str, done: int, validator: str, reporter: Reporter, way_out: str) -> HTTPResponse:
    """Ask for what is missing after `done` bytes, or for all where that is not surely the same."""
    headers = {"Range": f"bytes={done}-", "If-Range": validator} if done else {}
    response = _open(url, headers, reporter, way_out)
    if response.status != HTTPStatus.PARTIAL_CONTENT or _continues(response, done, validator):
        return response
    response.close()
    if not done:
        raise WeightsError(f"`{url}`: the server sent a part of the file, unasked", way_out)
    return _ask(url, 0, "", reporter, way_out)


def _open(url: str, headers: dict[str, str], reporter: Reporter, way_out: str) -> HTTPResponse:
    """Send a request; a server that is busy or failing is asked again, with pauses."""
    sent = {"User-Agent": f"pplr/{__version__}", "Accept-Encoding": "identity", **headers}
    for attempt in range(1, 1 + ATTEMPTS):
        try:
            response: HTTPResponse = urlopen(Request(url, headers=sent), timeout=TIMEOUT)
        except HTTPError as error:
            error.close()
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and headers:
                return _open(url, {}, reporter, way_out)
            _pause(error, attempt, reporter, way_out)
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise WeightsError(f"`{url}`: no connection ({reason})", way_out) from error
        else:
            return response
    raise AssertionError  # the last pause raises


def _pause(error: HTTPError, attempt: int, reporter: Reporter, way_out: str) -> None:
    """Wait before the next attempt, or raise if there shall be none."""
    what = f"the server answered {error.code} {error.reason}"
    seconds = _retry_after(error) or 2.0 ** (attempt - 1)
    if error.code != HTTPStatus.TOO_MANY_REQUESTS and error.code < 500:
        raise WeightsError(f"`{error.url}`: {what}", way_out) from error
    if seconds > PATIENCE:
        later = f"{what} and asks to come back in {seconds:,.0f} s"
        raise WeightsError(f"`{error.url}`: {later}", f"do so; or {way_out}") from error
    if attempt == ATTEMPTS:
        raise WeightsError(f"`{error.url}`: {what}, {attempt} times", way_out) from error
    reporter.info(f"{what}; trying again in {seconds:.0f} s")
    time.sleep(seconds)


def _retry_after(error: HTTPError) -> float:
    """Return the seconds that `Retry-After` asks for, in either of its forms; 0 = none."""
    text = (error.headers["Retry-After"] or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _continues(response: HTTPResponse, done: int, validator: str) -> bool:
    """Tell whether a partial answer starts after `done` bytes of the file that they are from."""
    match = _RANGE.match(response.headers["Content-Range"] or "")
    same = _validator(response) in ("", validator)
    return done > 0 and same and match is not None and int(match[1]) == done


def _total(response: HTTPResponse, done: int) -> int:
    """Return how many bytes the whole file has; 0 = the server does not say."""
    match = _RANGE.match(response.headers["Content-Range"] or "")
    if match and match[2].isdecimal():
        return int(match[2])
    return 0 if response.length is None else done + response.length


def _chunks(
    response: HTTPResponse, url: str, done: int, total: int, reporter: Reporter
) -> Iterator[bytes]:
    """Give the body piece by piece; one that is cut short or a web page raises."""
    name = url.rpartition("/")[2]
    page = response.headers.get_content_type() == "text/html"
    with reporter.task(f"fetch {name}", total, "bytes") as task:
        task.advance(done)
        while chunk := _read(response, url, done, total):
            if page or (done == 0 and is_web_page(chunk)):
                raise WeightsError(
                    f"`{url}`: this is a web page, not a file",
                    "open the link in a browser to see what it says; a file that you save there "
                    "is taken with `pplr download-weights NAME --from-file FILE`",
                )
            done += len(chunk)
            task.advance(len(chunk))
            yield chunk


def _read(response: HTTPResponse, url: str, done: int, total: int) -> bytes:
    """Read a piece, b"" at the end of the file; a body that ends before raises."""
    if 0 < total <= done:
        return b""
    try:
        chunk = response.read1(CHUNK)  # what is there: little is lost if the connection breaks
        if chunk or not total:
            return chunk
        what = "ended"
    except (OSError, HTTPException) as error:
        what = f"broke ({error})"
    of = f" of {total}" if total else ""
    hint = "run the command again: it goes on from there, if the server can do that"
    raise WeightsError(f"`{url}`: the connection {what} after {done}{of} bytes", hint)


def _validator(response: HTTPResponse) -> str:
    """Return what `If-Range` needs to tell whether the file is still the same."""
    tag = response.headers["ETag"] or ""
    return tag if tag and not tag.startswith("W/") else response.headers["Last-Modified"] or ""
