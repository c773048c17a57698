"""Weights under their final names: whole, checked, fetched once."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pplr_cli.config.starts import STARTS
from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import drive, store
from pplr_cli.weights.catalogue import OFFICIAL, Entry, StartFile, start_file
from pplr_cli.weights.digest import file_sha256
from pplr_cli.weights.loading import StateDict
from pplr_cli.weights.store import PUBLISHED, Source, obtain

MARKET = OFFICIAL[0]
NAMES = ("base.0.weight", "bnneck.weight", "bnneck0.weight")
CONTENT = b"weights of a backbone"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Shop(ThreadingHTTPServer):
    """Serves the files of a folder and counts the requests."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.delay = 0.0
        self.cut: int | None = None
        self.pause = 0.0  # seconds of silence after the first 100,000 bytes
        super().__init__(("127.0.0.1", 0), partial(Clerk, directory=str(folder)))


class Clerk(SimpleHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        time.sleep(self.server.delay)
        super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if self.server.pause:
            outputfile.write(source.read(100_000))
            time.sleep(self.server.pause)
        outputfile.write(source.read(-1 if self.server.cut is None else self.server.cut))

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.fixture
def shop(folder: Path, serve: Callable[[ThreadingHTTPServer], str]) -> Shop:
    shop = Shop(folder)
    serve(shop)
    return shop


def start_at(url: str, size: int) -> StartFile:
    name = url.rpartition("/")[2]
    return StartFile("resnet18", "resnet18", url, name, size, STARTS["imagenet"])


@pytest.fixture
def entry(folder: Path, shop: Shop) -> StartFile:
    """A backbone that our own server publishes."""
    name = f"resnet18-{SHA256[:8]}.pth"
    (folder / name).write_bytes(CONTENT)
    return start_at(f"http://127.0.0.1:{shop.server_address[1]}/{name}", len(CONTENT))


@pytest.fixture
def network(folder: Path) -> Path:
    """A file of a PPLR network."""
    path = folder / "market.pth"
    torch.save({f"module.{name}": torch.zeros(50_000) for name in NAMES}, path)
    return path


def web(shop: Shop, path: Path) -> Source:
    return Source(url=f"http://127.0.0.1:{shop.server_address[1]}/{path.name}")


def names(entry: Entry) -> list[str]:
    """What lies beside the file of an entry, itself included."""
    folder = entry.target.parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def fits(state: StateDict) -> None:
    if set(state.tensors) != set(NAMES):
        raise WeightsError(f"`{state.path}`: another network")


def refused(entry: Entry, *arguments: Any, match: str) -> WeightsError:
    """The error of a call that must fail; the arguments are the source and `force`."""
    source, force, *_ = (*arguments, PUBLISHED, False)
    with pytest.raises(WeightsError, match=match) as caught:
        obtain(entry, Silent(), source or PUBLISHED, force or False, fits)
    assert caught.value.hint
    return caught.value


# fetched


def test_file_arrives_whole_and_alone_and_is_not_fetched_again(
    entry: StartFile, shop: Shop
) -> None:
    assert obtain(entry, Silent()) == entry.target
    assert entry.target.read_bytes() == CONTENT
    assert names(entry) == [entry.target.name]
    obtain(entry, Silent())
    assert len(shop.asked) == 1


def test_what_is_here_needs_no_network(entry: StartFile, shop: Shop) -> None:
    obtain(entry, Silent())
    shop.shutdown()
    shop.server_close()
    assert obtain(entry, Silent()) == entry.target
    error = refused(entry, None, True, match="no connection")
    assert entry.url in error.message
    assert "`pplr download-weights resnet18 --from-file FILE`" in str(error.hint)
    assert "`--set model.weights=FILE`" in str(error.hint)
    assert entry.target.read_bytes() == CONTENT


def test_wrong_content_is_thrown_away(entry: StartFile, folder: Path) -> None:
    (folder / entry.target.name).write_bytes(b"x" + CONTENT)
    message = refused(entry, match="wrong content").message
    assert hashlib.sha256(b"x" + CONTENT).hexdigest() in message
    assert f"expected {SHA256[:8]}" in message
    assert names(entry) == []


def test_interrupted_download_is_kept_hidden_and_gone_on_with(entry: StartFile, shop: Shop) -> None:
    shop.cut = 5
    refused(entry, match=f"ended after 5 of {len(CONTENT)} bytes")
    name = entry.target.name
    assert names(entry) == [f".{name}.lock", f".{name}.part"]
    shop.cut = None
    obtain(entry, Silent())
    assert entry.target.read_bytes() == CONTENT
    assert names(entry) == [name]


def test_web_page_leaves_nothing(entry: StartFile, folder: Path) -> None:
    (folder / entry.target.name).write_text("<html>quota</html>")
    refused(entry, match="this is a web page")
    assert names(entry) == []


def test_damaged_file_is_refused_kept_and_can_be_replaced(entry: StartFile, shop: Shop) -> None:
    obtain(entry, Silent())
    entry.target.write_bytes(CONTENT[:-1])
    error = refused(entry, match="wrong content")
    assert str(entry.target) in error.message
    assert error.hint == "fetch it again: `pplr download-weights resnet18 --force`"
    assert entry.target.read_bytes() == CONTENT[:-1]
    obtain(entry, Silent(), force=True)
    assert entry.target.read_bytes() == CONTENT


# sources


def test_publishers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []
    monkeypatch.setattr(store.Transfer, "to", lambda self, *_: asked.append(self.url))
    monkeypatch.setattr(drive, "fetch", lambda entry, part, _, chosen: asked.append(chosen))
    with (tmp_path / "note").open("a+") as note:
        for entry in (start_file("imagenet", "resnet50"), MARKET):
            part = tmp_path / "part"
            store._bring(Source(drive_file="a/b.pth"), entry, part, note, Silent())
    assert asked == [start_file("imagenet", "resnet50").url, "a/b.pth"]


def test_room_for_a_copy_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(bytes(2_000_000))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(PplrError, match=r"a\.pth` needs 2\.0 MB, 1\.0 MB are free"):
        obtain(MARKET, Silent(), Source(file=file))
    assert names(MARKET) == []


# official weights


@pytest.mark.parametrize("source", ["web", "local"])
def test_official_weights_from_elsewhere_are_checked_and_recorded(
    shop: Shop, network: Path, source: str
) -> None:
    before = network.read_bytes()
    obtain(MARKET, Silent(), web(shop, network) if source == "web" else Source(file=network))
    assert MARKET.target.read_bytes() == before == network.read_bytes()
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]
    record = MARKET.target.with_name("pplr-market.pth.sha256").read_text()
    assert record == f"{file_sha256(network)}  pplr-market.pth\n"
    assert MARKET.holds()


@pytest.mark.parametrize("source", ["web", "local"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("page", "this is a web page"),
        ("cut", "cut short"),
        ("other", "another network"),
        ("nan", "`base.0.weight` holds NaN"),
    ],
)
def test_what_is_no_pplr_network_is_refused(
    shop: Shop, network: Path, source: str, content: str, message: str
) -> None:
    whole = network.read_bytes()
    if content in ("other", "nan"):
        values = {"conv1.weight": 1.0} if content == "other" else dict.fromkeys(NAMES, float("nan"))
        torch.save({name: torch.tensor([value]) for name, value in values.items()}, network)
    else:
        network.write_bytes(b"<!DOCTYPE html>" if content == "page" else whole[:-100])
    place = web(shop, network) if source == "web" else Source(file=network)
    error = refused(MARKET, place, match=message)
    assert error.message.startswith(f"`{place.url or network}`: ")
    assert names(MARKET) == []


def test_altered_file_is_noticed_and_replaced_by_force(network: Path) -> None:
    path = obtain(MARKET, Silent(), Source(file=network))
    path.write_bytes(path.read_bytes() + b"x")
    error = refused(MARKET, match="wrong content")
    assert error.hint == "fetch it again: `pplr download-weights market --force`"
    obtain(MARKET, Silent(), Source(file=network), force=True)
    assert MARKET.holds()


def test_failing_force_leaves_the_old_file_and_record(network: Path, folder: Path) -> None:
    obtain(MARKET, Silent(), Source(file=network))
    page = folder / "page.pth"
    page.write_text("<html>")
    refused(MARKET, Source(file=page), True, match="web page")
    assert MARKET.target.read_bytes() == network.read_bytes()
    assert MARKET.holds()


def test_file_put_there_by_hand_is_checked_and_recorded_at_first_use(network: Path) -> None:
    MARKET.target.parent.mkdir(parents=True)
    MARKET.target.write_text("<html>")
    refused(MARKET, match="web page")
    assert not MARKET.holds()
    MARKET.target.write_bytes(network.read_bytes())
    obtain(MARKET, Silent())
    assert MARKET.holds()


def test_part_of_another_source_is_not_taken(shop: Shop, network: Path, folder: Path) -> None:
    shop.cut = 100
    refused(MARKET, web(shop, network), match="ended after 100")
    refused(MARKET, Source(file=folder / "none.pth"), match="no such file")
    refused(MARKET, Source(file=folder), match="a folder")
    obtain(MARKET, Silent(), Source(file=network))
    assert MARKET.target.read_bytes() == network.read_bytes()
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]


# several processes


FETCH = """
import sys
from pplr_cli.progress import Silent
from pplr_cli.config.starts import STARTS
from pplr_cli.weights.catalogue import StartFile
from pplr_cli.weights.store import obtain
name = sys.argv[1].rpartition("/")[2]
entry = StartFile("resnet18", "resnet18", sys.argv[1], name, 1, STARTS["imagenet"])
print(obtain(entry, Silent()))
"""


def start(entry: StartFile) -> "subprocess.Popen[str]":
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, entry.url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


@pytest.fixture
def large(folder: Path, shop: Shop) -> StartFile:
    """A backbone of 1 MB."""
    content = bytes(1_000_000)
    name = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    return start_at(f"http://127.0.0.1:{shop.server_address[1]}/{name}", len(content))


def test_two_at_once_fetch_once(shop: Shop, large: StartFile) -> None:
    shop.delay = 0.5
    processes = [start(large) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == [f"{large.target}\n"] * 2
    assert len(shop.asked) == 1
    assert names(large) == [large.target.name]


def test_killed_download_leaves_nothing_under_the_final_name(shop: Shop, large: StartFile) -> None:
    shop.pause = 60
    name = large.target.name
    part = large.target.with_name(f".{name}.part")
    process = start(large)
    while not (part.is_file() and part.stat().st_size > 50_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert names(large) == [f".{name}.lock", f".{name}.part"]
    shop.pause = 0
    obtain(large, Silent())
    assert large.target.read_bytes() == bytes(1_000_000)
    assert names(large) == [name]
