"""HTTP downloads, against a local server that misbehaves."""

import errno
import re
import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights.download import ATTEMPTS, PATIENCE, TIMEOUT, Transfer
from tests.shared_reporter import Recorder

BODY = bytes(range(256)) * 4096  # 1 MiB
CUT = 300_000
WAY_OUT = "copy the file by hand"


class Server(ThreadingHTTPServer):
    """Serves BODY at any path; the attributes say how badly."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = ""
        self.body = BODY
        self.statuses: list[int] = []  # of the next answers; 200 once they are used up
        self.headers: dict[str, str] = {"ETag": '"one"'}
        self.cut: int | None = None  # bytes after which the body ends
        self.reset = False  # it ends with a reset
        self.stall = 0.0  # seconds of silence before the answer
        self.stall_within = 0.0  # seconds of silence after half the body
        self.framing = "length"  # or "chunked", or "close"
        self.ranges = True
        self.trusting = False  # sends a range whatever If-Range says
        self.shift = 0  # the range begins so much later than asked for
        self.range_length: int | None = None  # the range is shorter than asked for
        self.requests: list[dict[str, str]] = []

    def shutdown_request(self, request: Any) -> None:
        if self.reset:
            time.sleep(0.1)  # the client reads what came before
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.close()
        else:
            super().shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        time.sleep(server.stall)
        status = server.statuses.pop(0) if server.statuses else 200
        start = self._start()
        if status == 200 and start >= len(server.body) > 0:
            self.send_error(416)
            return
        body = server.body[start:] if status == 200 else b"busy"
        self.send_response(206 if start and status == 200 else status)
        if start and status == 200:
            body = body[: server.range_length]
            last = start + len(body) - 1
            first = start + server.shift
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(server.body)}")
        for name, value in server.headers.items():
            self.send_header(name, value)
        self._send(body)

    def _start(self) -> int:
        """Where the body begins: after the part that the client has, if it is still the same."""
        wanted, server = self.headers["Range"], self.server
        same = server.trusting or self.headers["If-Range"] in server.headers.values()
        if wanted is None or not same or not server.ranges:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send(self, body: bytes) -> None:
        server = self.server
        if server.framing == "length":
            self.send_header("Content-Length", str(len(body)))
        elif server.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if server.framing == "chunked":
            size = f"{len(body):x}".encode()
            body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
        half = len(body) // 2 if server.stall_within else 0
        self.wfile.write(body[:half])
        time.sleep(server.stall_within)
        self.wfile.write(body[half : server.cut])

    def log_message(self, *arguments: Any) -> None:
        pass


class ModernHandler(Handler):
    """Keeps its connections open, whatever the client says."""

    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        super().end_headers()
        self.close_connection = self.server.cut is not None


@pytest.fixture
def server(serve: Callable[[ThreadingHTTPServer], str]) -> Server:
    server = Server()
    server.url = f"{serve(server)}/weights.pth"
    return server


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".weights.pth.part"


def get(url: str, part: Path, **options: Any) -> bytes:
    with part.with_suffix(".lock").open("a+") as note:
        Transfer(url, WAY_OUT, **{"reporter": Silent(), **options}).to(part, note)
    return part.read_bytes()


def refusal(url: str, part: Path, **options: Any) -> WeightsError:
    """The error of a download that must fail."""
    with pytest.raises(WeightsError) as caught:
        get(url, part, **options)
    assert caught.value.hint
    assert url in caught.value.message
    return caught.value


def test_file_arrives_whole(server: Server, part: Path) -> None:
    assert get(server.url, part) == BODY
    assert "Range" not in server.requests[0]


def test_server_that_keeps_the_connection_open_holds_nobody_up(server: Server, part: Path) -> None:
    server.RequestHandlerClass = ModernHandler
    start = time.monotonic()
    assert get(server.url, part) == BODY
    assert time.monotonic() - start < TIMEOUT


# cut short, and gone on with


def cut(server: Server, part: Path) -> None:
    """Leave the first CUT bytes of a download."""
    server.cut = CUT
    message = refusal(server.url, part).message
    assert message.endswith(f"the connection ended after {CUT} of {len(BODY)} bytes")
    assert part.read_bytes() == BODY[:CUT]
    server.cut = None


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"one"'}, '"one"'),
        ({"Last-Modified": "Sun, 22 Nov 2026 15:00:00 GMT"}, "Sun, 22 Nov 2026 15:00:00 GMT"),
        ({"ETag": 'W/"one"', "Last-Modified": "Sun, 22 Nov 2026 15:00:00 GMT"}, "Sun, 22 Nov"),
    ],
)
def test_cut_download_goes_on_where_it_ended(
    server: Server, part: Path, headers: dict[str, str], validator: str
) -> None:
    server.headers = headers
    cut(server, part)
    assert get(server.url, part) == BODY
    assert server.requests[1]["Range"] == f"bytes={CUT}-"
    assert server.requests[1]["If-Range"].startswith(validator)
    assert len(server.requests) == 2


def test_range_cut_short_is_gone_on_with_as_well(server: Server, part: Path) -> None:
    cut(server, part)
    server.range_length = 1000
    message = refusal(server.url, part).message
    assert f"after {CUT + 1000} of {len(BODY)} bytes" in message
    server.range_length = None
    assert get(server.url, part) == BODY
    assert server.requests[2]["Range"] == f"bytes={CUT + 1000}-"


@pytest.mark.parametrize(
    "change",
    [
        *("another file", "another date", "another file, If-Range ignored", "ranges ignored"),
        *("no validator", "weak", "shifted range", "nothing left", "shorter file"),
    ],
)
def test_without_certainty_it_starts_over(server: Server, part: Path, change: str) -> None:
    if change == "no validator":
        server.headers = {}
    elif change == "another date":
        server.headers = {"Last-Modified": "Sun, 22 Nov 2026 15:00:00 GMT"}
    elif change == "weak":
        server.headers = {"ETag": 'W/"one"'}
    cut(server, part)
    if change.startswith("another file"):
        server.headers, server.body = {"ETag": '"two"'}, bytes(reversed(BODY))
        server.trusting = change.endswith("ignored")
    elif change == "another date":
        server.headers = {"Last-Modified": "Mon, 23 Nov 2026 15:00:00 GMT"}
    elif change == "nothing left":
        part.write_bytes(BODY)
    elif change == "shorter file":
        server.body = BODY[:1000]
    server.ranges = change != "ranges ignored"
    server.shift = change == "shifted range"
    assert get(server.url, part) == server.body


def test_part_of_another_address_is_not_taken(server: Server, part: Path) -> None:
    cut(server, part)
    assert get(f"{server.url}?other", part) == BODY
    assert "Range" not in server.requests[1]


def test_part_of_a_file_unasked_is_refused(server: Server, part: Path) -> None:
    server.statuses = [206]
    assert "sent a part of the file, unasked" in refusal(server.url, part).message


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_undeclared_length(server: Server, part: Path, framing: str) -> None:
    server.framing = framing
    if framing == "chunked":
        server.RequestHandlerClass = ModernHandler
    assert get(server.url, part) == BODY


def test_chunked_body_that_ends_early(server: Server, part: Path) -> None:
    server.framing, server.cut = "chunked", CUT
    server.RequestHandlerClass = ModernHandler
    assert "the connection ended after" in refusal(server.url, part).message


@pytest.mark.parametrize("framing", ["length", "close"])
def test_reset_is_never_taken_for_the_end(server: Server, part: Path, framing: str) -> None:
    server.framing, server.cut, server.reset = framing, CUT, True
    message = refusal(server.url, part).message
    assert re.search(r"the connection broke \(.*reset.*\) after \d+( of \d+)? bytes", message)
    assert BODY.startswith(part.read_bytes())


@pytest.mark.parametrize("framing", ["length", "close"])
def test_silence_within_the_body_times_out(server: Server, part: Path, framing: str) -> None:
    server.framing, server.stall_within = framing, 1.0
    error = refusal(server.url, part, timeout=0.2)
    assert "the connection broke (timed out) after" in error.message


# refused


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 410])
def test_refusals_are_final(server: Server, part: Path, status: int) -> None:
    server.statuses = [status]
    error = refusal(server.url, part)
    assert f"the server answered {status}" in error.message
    assert error.hint == WAY_OUT
    assert len(server.requests) == 1
    assert not part.exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_busy_server_is_asked_again(server: Server, part: Path, status: int) -> None:
    server.statuses = [status] * 3
    slept: list[float] = []
    told = Recorder()
    assert get(server.url, part, reporter=told, sleep=slept.append) == BODY
    assert slept == [1, 2, 4]
    assert f"the server answered {status} " in told.news[0]
    assert told.news[2].endswith("trying again in 4 s")


def test_busy_server_is_asked_a_bounded_number_of_times(server: Server, part: Path) -> None:
    server.statuses = [503] * 100
    slept: list[float] = []
    message = refusal(server.url, part, sleep=slept.append).message
    assert message.endswith(f"the server answered 503 Service Unavailable, {ATTEMPTS} times")
    assert len(server.requests) == ATTEMPTS == 6
    assert sum(slept) == 31


def test_retry_after_is_honoured_in_both_forms(server: Server, part: Path) -> None:
    slept: list[float] = []
    for statuses, asked in (
        ([429, 429, 200], "7"),
        ([503, 200], formatdate(time.time() + 20, usegmt=True)),
        ([503, 200], "soon"),
    ):
        server.statuses, server.headers = statuses, {"Retry-After": asked}
        get(server.url, part, sleep=slept.append)
    assert slept == [7, 7, pytest.approx(20, abs=2), 1]


def test_server_that_asks_for_much_patience_is_left_alone(server: Server, part: Path) -> None:
    server.statuses = [429]
    server.headers = {"Retry-After": str(int(PATIENCE) + 3540)}
    error = refusal(server.url, part, sleep=pytest.fail)
    assert "answered 429 Too Many Requests and asks to come back in 3,600 s" in error.message
    assert len(server.requests) == 1


def test_what_was_fetched_survives_a_busy_server(server: Server, part: Path) -> None:
    cut(server, part)
    server.statuses = [503, 503]
    assert get(server.url, part, sleep=lambda _: None) == BODY
    assert [request.get("Range") for request in server.requests[1:]] == [f"bytes={CUT}-"] * 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "application/octet-stream"),
        (b"\n  <html>log in</html>", "application/octet-stream"),
        (b"please log in", "text/html; charset=utf-8"),
    ],
)
def test_web_page_is_no_file(server: Server, part: Path, body: bytes, kind: str) -> None:
    server.body = body
    server.headers = {"Content-Type": kind}
    error = refusal(server.url, part)
    assert "this is a web page" in error.message
    assert "--from-file" in str(error.hint)
    assert part.read_bytes() == b""


# no network


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_closed_port_is_told_at_once(part: Path) -> None:
    url = f"{closed_port()}/weights.pth"
    start = time.monotonic()
    error = refusal(url, part)
    assert time.monotonic() - start < 5
    assert error.message.startswith(f"`{url}`: no connection (")
    assert error.hint == WAY_OUT


@pytest.mark.parametrize(
    "url",
    [
        *("http://nowhere.invalid/a.pth", "http://127.0.0.1:99999/a.pth", "http://[::1/a.pth"),
        *("http://.a/b.pth", "http://a..b/c.pth", f"http://{'a' * 70}.b/c.pth", "http://a b/c.pth"),
        *("http://%/a.pth", "http:///a.pth", "http://\xad/a.pth", "http://a\x01b/c.pth"),
    ],
)
def test_unknown_host_and_impossible_address(part: Path, url: str) -> None:
    assert "no connection" in refusal(url, part).message


@pytest.mark.parametrize(
    "target",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1:9/x", "http://[::1/x", "http://127.0.0.1:99999/"),
        *("", "//", "http://\xff/", "data:,x", "http://a..b/x"),
    ],
)
def test_redirects_that_lead_nowhere(server: Server, part: Path, target: str) -> None:
    server.statuses, server.headers = [302] * 100, {"Location": target}
    refusal(server.url, part)
    assert not part.exists()


def test_redirect_is_followed(server: Server, part: Path) -> None:
    server.statuses, server.headers = [301, 302], {"Location": "/other.pth"}
    assert get(server.url, part) == BODY


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the proxy in the environment."""

    def use(url: str) -> None:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "")

    return use


def test_proxy_that_is_not_there(part: Path, proxy: Callable[[str], None]) -> None:
    proxy(closed_port())
    assert "no connection ([Errno 111]" in refusal("http://weights.example/a.pth", part).message


def test_proxy_is_used(server: Server, part: Path, proxy: Callable[[str], None]) -> None:
    proxy(server.url)
    assert get("http://weights.example/a.pth", part) == BODY
    server.statuses = [407]
    assert "answered 407" in refusal("http://weights.example/b.pth", part).message


def test_silent_server_times_out(server: Server, part: Path) -> None:
    server.stall = 1.0
    assert "no connection (timed out)" in refusal(server.url, part, timeout=0.2).message


# the disk


def test_full_disk_is_seen_before(
    server: Server, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(PplrError, match=r"needs 1\.0 MB, 1\.0 kB are free"):
        get(server.url, part)
    assert not part.exists()


def test_disk_that_fills_up_is_named(server: Server, tmp_path: Path) -> None:
    server.framing = "close"
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught, (tmp_path / "n").open("a+") as n:
        Transfer(server.url, WAY_OUT, Silent()).to(full, n)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(full))
