"""HTTP downloads that resume, and end with either the complete file or an error."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import IncompleteRead
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pplr_cli import __version__
from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, is_web_page, naming
from pplr_cli.progress import Reporter

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 15.0
"""Seconds without an answer or a byte after which a server counts as gone."""
ATTEMPTS = 6
"""Attempts at a server that is busy (429) or failing (5xx)."""
PATIENCE = 60.0
"""Longest pause between two attempts, in seconds; a server that asks for more is not retried."""
CHUNK = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True)
class Transfer:
    """One download from an `http` or `https` address."""

    url: str
    way_out: str  # the hint where the server cannot be reached
    reporter: Reporter
    timeout: float = TIMEOUT
    sleep: Callable[[float], None] = time.sleep

    def to(self, part: Path, note: IO[str]) -> None:
        """Download to `part`, continuing where it ends if the server still has the same file.

        `part` is kept if this fails. `note` is an open text file that keeps the address and the
        validator of `part`.

        Raises:
            WeightsError: no network, refused, interrupted, or a web page.
        """
        note.seek(0)
        known_url, _, validator = note.read().partition("\n")
        known = part.is_file() and validator and known_url == self.url
        with self._ask(part.stat().st_size if known else 0, validator) as response:
            start, total = _extent(response)
            check_space(part.parent, total - start, f"`{self.url}`")
            with naming(part), part.open("ab" if start else "wb") as file:
                note.seek(0)
                note.truncate()
                note.write(f"{self.url}\n{_validator(response)}")  # after old bytes are gone
                note.flush()
                for chunk in self._chunks(response, start, total):
                    file.write(chunk)

    def _ask(self, done: int, validator: str) -> "Response":
        """Request the bytes after `done`, or all if the server may have another file."""
        headers = {"Range": f"bytes={done}-", "If-Range": validator} if done else {}
        response = self._open(headers)
        if response.status_code == HTTPStatus.OK:
            return response
        same = _validator(response) in ("", validator) and _extent(response)[0] == done
        if done and same and response.status_code == HTTPStatus.PARTIAL_CONTENT:
            return response
        response.close()
        if not done:
            raise self._failed("the server sent a part of the file, unasked")
        return self._ask(0, "")

    def _open(self, headers: dict[str, str]) -> "Response":
        """Send a request; a server that is busy or failing is asked again, with pauses."""
        import requests

        answers: list[Response] = []  # of redirects, too; requests leaves them open if it fails
        hooks = {"response": lambda answer, **_: answers.append(answer)}
        sent = {"User-Agent": f"pplr/{__version__}", "Accept-Encoding": "identity", **headers}
        final = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}
        if headers:
            final.add(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        for attempt in range(1, 1 + ATTEMPTS):
            try:
                response = requests.get(
                    self.url, headers=sent, hooks=hooks, stream=True, timeout=self.timeout
                )
            except (requests.RequestException, OSError, ValueError) as error:
                for answer in answers:
                    answer.close()
                raise self._failed(f"no connection ({root_cause(error)})") from error
            if response.status_code in final:
                break
            response.close()
            self._pause(response, attempt)
        return response

    def _pause(self, response: "Response", attempt: int) -> None:
        """Wait before the next attempt, or raise if there is none."""
        what = f"the server answered {response.status_code} {response.reason}"
        seconds = _retry_after(response) or 2.0 ** (attempt - 1)
        if response.status_code not in {HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}:
            raise self._failed(what)
        if seconds > PATIENCE:
            later = f"{what} and asks to come back in {seconds:,.0f} s"
            raise self._failed(later, f"do so; or {self.way_out}")
        if attempt == ATTEMPTS:
            raise self._failed(f"{what}, {attempt} times")
        self.reporter.info(f"{what}; trying again in {seconds:.0f} s")
        self.sleep(seconds)

    def _chunks(self, response: "Response", start: int, total: int) -> Iterator[bytes]:
        """Yield the body in pieces; an incomplete body or a web page raises."""
        import urllib3

        done, how = start, "ended"
        page = response.headers.get("Content-Type", "").startswith("text/html")
        with self.reporter.task(f"fetch {self.url.rpartition('/')[2]}", total, "bytes") as task:
            task.advance(done)
            try:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    if page or (done == 0 and is_web_page(chunk)):
                        raise self._failed(
                            "this is a web page, not a file",
                            "open the link in a browser to see what it says, save the file there, "
                            "then `pplr download-weights NAME --from-file FILE`",
                        )
                    done += len(chunk)
                    task.advance(len(chunk))
                    yield chunk
                if total in (0, done):
                    return
            except (urllib3.exceptions.HTTPError, OSError) as error:
                cause = root_cause(error)
                how = how if isinstance(cause, IncompleteRead) else f"broke ({cause})"
        of = f" of {total}" if total else ""
        hint = "run the command again: it continues there, if the server supports that"
        raise self._failed(f"the connection {how} after {done}{of} bytes", hint)

    def _failed(self, what: str, hint: str | None = None) -> WeightsError:
        return WeightsError(f"`{self.url}`: {what}", hint or self.way_out)


def root_cause(error: BaseException) -> BaseException:
    """Return the first cause of an error that requests and urllib3 wrapped several times."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else root_cause(inner)


def _retry_after(response: "Response") -> float:
    """Return the seconds that `Retry-After` asks for, in either of its forms; 0 = none."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _extent(response: "Response") -> tuple[int, int]:
    """Return where the body starts in the file, and the size of the file; 0 = unknown."""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        match = _RANGE.match(response.headers.get("Content-Range", ""))
        return (int(match[1]), int(match[2])) if match else (0, 0)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else 0


def _validator(response: "Response") -> str:
    """Return what `If-Range` needs to decide whether the file is still the same."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
