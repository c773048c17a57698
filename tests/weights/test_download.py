"""HTTP downloads, against a local server that misbehaves."""

import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import download
from pplr_cli.weights.download import fetch, file_sha256

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()
WAY_OUT = "copy the file by hand"


class Server(ThreadingHTTPServer):
    """Serves BODY at any path; the attributes say how badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.status = 200
        self.cut: int | None = None  # bytes after which the connection ends
        self.stall = False  # no byte ever comes
        self.headers = {"ETag": '"one"'}
        self.ranges = True
        self.wrong_range = False
        self.declare_length = True
        self.delay = 0.0
        self.requests: list[dict[str, str]] = []

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        if server.stall:
            time.sleep(5)
            return
        start = self._start()
        if start >= len(server.body) > 0:
            self.send_error(416)
            return
        body = server.body[start:]
        self.send_response(206 if start else server.status)
        if start:
            first = start + server.wrong_range
            self.send_header(
                "Content-Range", f"bytes {first}-{len(server.body) - 1}/{len(server.body)}"
            )
        for name, value in server.headers.items():
            self.send_header(name, value)
        if server.declare_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(server.delay)
        self.wfile.write(body[: server.cut])

    def _start(self) -> int:
        """Where the body begins: after the part that the client has, if it is still the same."""
        wanted = self.headers["Range"]
        same = self.headers["If-Range"] in self.server.headers.values()
        if wanted is None or not same or not self.server.ranges:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "weights.pth"


def get(server: Server, target: Path) -> Path:
    return fetch(server.url, target, SHA256[:8], Silent(), WAY_OUT)


def refusal(server: Server, target: Path) -> WeightsError:
    """The error of a download that must fail and leave nothing under the final name."""
    with pytest.raises(WeightsError) as caught:
        get(server, target)
    assert not target.exists()
    assert caught.value.hint
    assert server.url in caught.value.message
    return caught.value


def left_over(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_file_arrives_whole_and_alone(server: Server, target: Path) -> None:
    assert get(server, target) == target
    assert target.read_bytes() == BODY
    assert left_over(target) == []


def test_what_is_there_is_not_fetched_again(server: Server, target: Path) -> None:
    get(server, target)
    get(server, target)
    assert len(server.requests) == 1


def test_cut_download_goes_on_where_it_ended(server: Server, target: Path) -> None:
    server.cut = 300_000
    error = refusal(server, target)
    assert f"ended after 300000 of {len(BODY)} bytes" in error.message
    assert left_over(target) == [".weights.pth.lock", ".weights.pth.part"]
    server.cut = None
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.requests[1]["Range"] == "bytes=300000-"
    assert server.requests[1]["If-Range"] == '"one"'
    assert left_over(target) == []


@pytest.mark.parametrize("change", ["another file", "ranges ignored", "no validator", "weak"])
def test_without_certainty_it_starts_over(server: Server, target: Path, change: str) -> None:
    if change == "no validator":
        server.headers = {}
    elif change == "weak":
        server.headers = {"ETag": 'W/"one"'}
    server.cut = 300_000
    refusal(server, target)
    server.cut = None
    if change == "another file":
        server.headers = {"ETag": '"two"'}
    server.ranges = change != "ranges ignored"
    get(server, target)
    assert target.read_bytes() == BODY


def test_date_confirms_as_well_as_a_tag(server: Server, target: Path) -> None:
    server.headers = {"Last-Modified": "Sun, 22 Nov 2026 15:00:00 GMT"}
    server.cut = 300_000
    refusal(server, target)
    server.cut = None
    get(server, target)
    assert server.requests[1]["Range"] == "bytes=300000-"
    assert target.read_bytes() == BODY


def test_part_of_another_address_is_not_taken(server: Server, target: Path) -> None:
    server.cut = 300_000
    refusal(server, target)
    server.cut = None
    fetch(server.url + "?other", target, SHA256, Silent(), WAY_OUT)
    assert "Range" not in server.requests[1]


def test_whole_part_of_an_unfinished_run_starts_over(server: Server, target: Path) -> None:
    server.cut = 300_000
    refusal(server, target)
    target.with_name(".weights.pth.part").write_bytes(BODY)
    server.cut = None
    get(server, target)
    assert target.read_bytes() == BODY


def test_wrong_range_is_refused(server: Server, target: Path) -> None:
    server.cut = 300_000
    refusal(server, target)
    server.cut, server.wrong_range = None, True
    assert "another part than asked for" in refusal(server, target).message


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
def test_refusals_are_final(server: Server, target: Path, status: int) -> None:
    server.status = status
    error = refusal(server, target)
    assert f"the server answered {status}" in error.message
    assert error.hint == WAY_OUT
    assert len(server.requests) == 1
    assert left_over(target) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "application/octet-stream"),
        (b"\n  <html>log in</html>", "application/octet-stream"),
        (b"please log in", "text/html; charset=utf-8"),
    ],
)
def test_web_page_is_no_file(server: Server, target: Path, body: bytes, kind: str) -> None:
    server.body = body
    server.headers = {"Content-Type": kind}
    assert "this is a web page" in refusal(server, target).message


def test_wrong_content_is_thrown_away(server: Server, target: Path) -> None:
    server.body = b"x" + BODY[1:]
    message = refusal(server, target).message
    assert hashlib.sha256(server.body).hexdigest() in message
    assert f"expected {SHA256[:8]}" in message
    assert left_over(target) == []


def test_undeclared_length_is_left_to_the_hash(server: Server, target: Path) -> None:
    server.declare_length = False
    get(server, target)
    assert target.read_bytes() == BODY
    target.unlink()
    server.cut = 1000
    assert "wrong content" in refusal(server, target).message


def test_closed_port_is_told_at_once(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.pth"
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        fetch(url, target, SHA256, Silent(), WAY_OUT)
    assert time.monotonic() - start < 5
    assert caught.value.message.startswith(f"`{url}`: no connection (")
    assert caught.value.hint == WAY_OUT


def test_unknown_host(target: Path) -> None:
    with pytest.raises(WeightsError, match="no connection"):
        fetch("http://nowhere.invalid/weights.pth", target, SHA256, Silent(), WAY_OUT)


def test_silent_server_times_out(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.stall = True
    assert "no connection" in refusal(server, target).message


def test_full_disk_is_seen_before(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(PplrError, match=r"needs 1\.0 MB, 0\.0 MB are free"):
        get(server, target)
    assert left_over(target) == []


def test_two_at_once_fetch_once(server: Server, target: Path) -> None:
    server.delay = 0.3
    program = (
        "import sys; from pathlib import Path; from pplr_cli.progress import Silent; "
        "from pplr_cli.weights.download import fetch; "
        "print(fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Silent(), ''))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, server.url, str(target), SHA256],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == [f"{target}\n"] * 3
    assert target.read_bytes() == BODY
    assert len(server.requests) == 1
    assert left_over(target) == []


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert file_sha256(tmp_path / "a") == SHA256
