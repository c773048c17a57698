"""The official weights: the real gdown, and a server of our own in the place of Google's."""

import html
import io
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import torch

from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import drive as module
from pplr_cli.weights.catalogue import DRIVE_FOLDER, DRIVE_URL, OFFICIAL, Official
from pplr_cli.weights.drive import DriveFile, list_folder, pick
from pplr_cli.weights.store import Source, obtain

MARKET = OFFICIAL[0]
NETWORK = {
    **{f"module.{name}.weight": torch.zeros(2) for name in ("base.0", "bnneck", "bnneck0")},
    "module.classifier.weight": torch.arange(500_000.0),
}
WARNING = (
    "<html><title>Google Drive - Virus scan warning</title>"
    '<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t">'
    "</form></html>"
)
REFUSED = '<html><title>Google Drive</title><p class="uc-error-subcaption">{why}</p></html>'
CUT = 512 * 1024  # as much as gdown reads at once
QUOTA = (
    "Too many users have viewed or downloaded this file recently. Please try accessing the "
    "file again later."
)


@dataclass
class Item:
    """A file of the folder, and how its download goes."""

    content: bytes
    warning: bool = False  # a page asks for confirmation first, as for large files
    page: str = ""  # a page comes instead of the file
    status: int = 200
    cut: int | None = None
    stall: float = 0.0
    ranges: bool = True
    content_type: bool = True


class Google(ThreadingHTTPServer):
    """Google Drive with one shared folder of `items`, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.items: dict[str, Item] = {}
        self.folder_status = 200
        self.folder_page: str | None = None
        self.asked: list[tuple[str, str | None]] = []

    def id(self, path: str) -> str:
        """The id of a file or folder: long, of letters."""
        return DRIVE_FOLDER if not path else re.sub(r"\W", "_", path).ljust(30, "-")

    def listing(self, folder_id: str) -> str:
        """The page of a folder."""
        links, title = {}, "PPLR"
        for path in self.items:
            *folders, _ = parts = path.split("/")
            for depth, name in enumerate(parts):
                if self.id("/".join(parts[:depth])) == folder_id:
                    kind = "drive/folders" if depth < len(folders) else "file/d"
                    end = "" if depth < len(folders) else "/view"
                    own = self.id("/".join(parts[: depth + 1]))
                    title = parts[depth - 1] if depth else title
                    links[own] = f"https://drive.google.com/{kind}/{own}{end}", name
        anchors = [f'<a href="{url}">{html.escape(name)}</a>' for url, name in links.values()]
        return f"<html><title>{title}</title>{''.join(anchors)}</html>"


class Handler(BaseHTTPRequestHandler):
    server: Google

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        own = parse_qs(parts.query)["id"][0]
        if parts.path == "/embeddedfolderview":
            page = self.server.folder_page
            self._page(
                self.server.listing(own) if page is None else page, self.server.folder_status
            )
            return
        path = next(path for path in self.server.items if self.server.id(path) == own)
        self.server.asked.append((path, self.headers["Range"]))
        item = self.server.items[path]
        if item.page:
            self._page(item.page, item.status, item.content_type)
        elif item.warning and parts.path == "/uc":
            self._page(WARNING.format(id=own))
        else:
            self._file(path, item)

    def _page(self, page: str, status: int = 200, content_type: bool = True) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def _file(self, path: str, item: Item) -> None:
        wanted = self.headers["Range"] if item.ranges else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        size = len(item.content)
        self.send_response(206 if start else item.status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Disposition", f'attachment; filename="{path.split("/")[-1]}"')
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", f'"{hash(item.content)}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        half = size // 2 if item.stall else 0
        self.wfile.write(item.content[start : start + half])
        time.sleep(item.stall)
        self.wfile.write(item.content[start + half : item.cut])

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path))


@pytest.fixture
def google(serve: Callable[[ThreadingHTTPServer], str], monkeypatch: pytest.MonkeyPatch) -> Google:
    """Our server, to which every request for a host of Google's goes."""
    google = Google()
    address = serve(google)
    real = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: Any, *arguments: Any, **options: Any) -> Any:
        request.url = re.sub(r"^https://drive(\.usercontent)?\.google\.com", address, request.url)
        assert request.url.startswith(address)
        return real(self, request, *arguments, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return google


def stored(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


WHOLE = stored(NETWORK)


def names(entry: Official) -> list[str]:
    return sorted(path.name for path in entry.target.parent.iterdir())


def refused(match: str) -> WeightsError:
    """The error of a fetch that must fail and leave nothing under the final name."""
    with pytest.raises(WeightsError, match=match) as caught:
        obtain(MARKET, Silent())
    assert not MARKET.target.exists()
    return caught.value


# which file


@pytest.mark.parametrize(
    "paths",
    [
        [f"{d}_{c}.pth" for d in ("Market", "MSMT17", "VeRi") for c in ("wo_cam", "w_cam")],
        [f"{d}{c}.pth.tar" for d in ("market1501", "msmt17", "veri") for c in ("", "_camera")],
        [f"{c}/pplr_{d}.pth" for d in ("market", "msmt", "veri") for c in ("pplr", "pplr-cam")],
    ],
)
def test_names_decide_data_set_and_mode(paths: list[str]) -> None:
    files = [DriveFile(path, path) for path in reversed(paths)]
    assert [pick(entry, files).path for entry in OFFICIAL] == paths


def test_unclear_names_are_listed_and_can_be_chosen() -> None:
    files = [
        DriveFile("1", "a/market.pth"),
        DriveFile("2", "b/market.pth"),
        DriveFile("3", "c.pth"),
    ]
    with pytest.raises(WeightsError) as caught:
        pick(MARKET, files)
    assert caught.value.message.splitlines()[1:] == ["  a/market.pth", "  b/market.pth"]
    assert "`pplr download-weights market --drive-file PATH`" in str(caught.value.hint)
    assert pick(MARKET, files, "c.pth").id == "3"
    for entry, chosen in ((OFFICIAL[1], None), (MARKET, "none.pth")):
        with pytest.raises(WeightsError, match="no file fits") as caught:
            pick(entry, files, chosen)
        assert "  c.pth" in caught.value.message


def test_folder_is_listed_at_any_depth_without_what_is_no_weights(google: Google) -> None:
    paths = ["README.txt", "log/a.log", "x/market.PTH", "x/y/veri & co.pth.tar"]
    google.items = {path: Item(b"") for path in paths}
    assert [file.path for file in list_folder(MARKET)] == ["x/market.PTH", "x/y/veri & co.pth.tar"]


def test_folder_without_weights(google: Google) -> None:
    google.items = {"README.txt": Item(b"")}
    assert DRIVE_URL in refused("lists no weights files").message


@pytest.mark.parametrize(
    ("status", "page", "message"),
    [
        (404, "gone", "Google Drive answered 404"),
        (429, "later", "Google Drive answered 429"),
        (503, "later", "Google Drive answered 503"),
        (200, "{}", "Google Drive refuses: Failed to parse folder contents"),
    ],
)
def test_folder_that_cannot_be_listed(google: Google, status: int, page: str, message: str) -> None:
    google.folder_status, google.folder_page = status, page
    error = refused(message)
    assert DRIVE_URL in error.message
    assert "github" not in error.message
    assert "--from-file FILE`" in str(error.hint)


# fetching it


@pytest.mark.parametrize("warning", [False, True])
def test_weights_arrive_checked_and_recorded(google: Google, warning: bool) -> None:
    google.items = {"w/market.pth": Item(WHOLE, warning), "w/market_cam.pth": Item(b"")}
    assert obtain(MARKET, Silent()).read_bytes() == WHOLE
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]
    assert MARKET.holds()
    obtain(MARKET, Silent())
    assert len(google.asked) == 1 + warning


def test_chosen_file(google: Google) -> None:
    google.items = {"a.pth": Item(WHOLE), "b.pth": Item(b"")}
    obtain(MARKET, Silent(), Source(drive_file="a.pth"))
    assert MARKET.target.read_bytes() == WHOLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><title>Quota</title>", "this is a web page"),
        (b"not weights at all", "not a weights file"),
        (WHOLE[:-100], "damaged or cut short"),
    ],
)
def test_what_is_no_weights_file_is_refused(google: Google, content: bytes, message: str) -> None:
    google.items = {"market.pth": Item(content)}
    with pytest.raises(WeightsError, match=message) as caught:
        obtain(MARKET, Silent())
    assert caught.value.message.startswith(f"`market.pth of {DRIVE_URL}`: ")
    assert names(MARKET) == []


def test_quota_page(google: Google) -> None:
    google.items = {"market.pth": Item(b"", page=REFUSED.format(why=QUOTA))}
    error = refused("Google Drive's download quota of this file is used up")
    page = f"https://drive.google.com/file/d/{google.id('market.pth')}/view"
    assert error.message.startswith(f"`{page}`: ")
    assert error.hint == (
        f"try again in 24 hours, or open {page} in a browser, save the file there, then "
        "`pplr download-weights market --from-file FILE`"
    )
    assert names(MARKET) == []


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Item(b"", page=REFUSED.format(why="You need access")), "refuses: You need access$"),
        (Item(b"", page="<html>", status=404), "refuses: Cannot retrieve the public link"),
        (Item(b"", page="<html>", status=403), "refuses: Cannot retrieve the public link"),
        (Item(WHOLE, status=503), "Google Drive answered 503"),
        (Item(b"", page="<html>", content_type=False), "gdown does not understand .KeyError"),
    ],
)
def test_file_that_is_refused(google: Google, item: Item, message: str) -> None:
    google.items = {"market.pth": item}
    error = refused(message)
    assert error.message.startswith(f"`https://drive.google.com/file/d/{google.id('market.pth')}")
    assert names(MARKET) == []


def test_cut_download_goes_on_where_it_ended(google: Google) -> None:
    item = Item(WHOLE, cut=CUT)
    google.items = {"market.pth": item}
    error = refused(f"the connection ended after {CUT} of {len(WHOLE)} bytes$")
    assert error.hint == "run the command again: it continues there"
    (left,) = MARKET.target.parent.iterdir()
    assert left.read_bytes() == WHOLE[:CUT]
    item.cut = None
    obtain(MARKET, Silent())
    assert MARKET.target.read_bytes() == WHOLE
    assert google.asked[-1] == ("market.pth", f"bytes={CUT}-")
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]


def test_cut_download_is_forgotten_once_another_source_has_served(
    google: Google, tmp_path: Path
) -> None:
    google.items = {"market.pth": Item(WHOLE, cut=CUT)}
    refused("ended after")
    (tmp_path / "mine.pth").write_bytes(WHOLE)
    obtain(MARKET, Silent(), Source(file=tmp_path / "mine.pth"))
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]


@pytest.mark.parametrize("change", ["ranges ignored", "shorter", "other content"])
def test_changed_file_starts_over(google: Google, change: str) -> None:
    item = Item(WHOLE, cut=CUT)
    google.items = {"market.pth": item}
    refused("ended after")
    item.cut = None
    item.ranges = change != "ranges ignored"
    if change == "shorter":
        item.content = stored({name: NETWORK[name] for name in list(NETWORK)[:3]})
    elif change == "other content":
        item.content = stored({**NETWORK, "module.classifier.weight": torch.ones(500_000)})
    with pytest.raises(WeightsError):
        obtain(MARKET, Silent())
    assert names(MARKET) == []
    obtain(MARKET, Silent())
    assert MARKET.target.read_bytes() == item.content


def test_silent_server_times_out(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    google.items = {"market.pth": Item(WHOLE, stall=1.0)}
    assert "timed out" in refused("no connection").message


def test_full_disk_is_seen_at_once(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    google.items = {"market.pth": Item(WHOLE)}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(PplrError, match=r"`market.pth` needs .* MB, 1\.0 kB are free"):
        obtain(MARKET, Silent())
    assert not MARKET.target.exists()


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert DRIVE_URL in str(refused("no connection").hint)


def test_an_older_gdown_is_refused(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("gdown.exceptions.DownloadError")
    error = refused("^gdown cannot be used: cannot import name 'DownloadError'")
    assert str(error.hint).startswith("`pip install --upgrade gdown`")
