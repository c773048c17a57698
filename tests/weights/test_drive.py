"""The official weights, with a Google Drive of our own."""

import errno
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gdown
import pytest
import requests
import torch

from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights.catalogue import DRIVE_FOLDER, DRIVE_URL, OFFICIAL, Official
from pplr_cli.weights.drive import DriveFile, fetch_official, list_folder, pick

MARKET = OFFICIAL[0]
NETWORK = {f"module.{n}.weight": torch.zeros(2) for n in ("base.0", "bnneck", "bnneck0")}


class Drive:
    """Stands in for gdown's two functions; `files` are (path, content or error)."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}
        self.asked: list[str] = []

    def download_folder(self, *, id: str, skip_download: bool, **_: Any) -> list[SimpleNamespace]:  # noqa: A002
        assert id == DRIVE_FOLDER
        assert skip_download
        return [SimpleNamespace(id=f"id of {p}", path=p, local_path="") for p in self.files]

    def download(
        self,
        *,
        id: str,  # noqa: A002
        output: str,
        progress: Callable[[int, int | None], None],
        **_: Any,
    ) -> str:
        path = id.removeprefix("id of ")
        self.asked.append(path)
        content = self.files[path]
        if isinstance(content, Exception):
            raise content
        if isinstance(content, bytes):
            Path(output).write_bytes(content)
        else:
            torch.save(content, output)
        progress(10, None)
        return output


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Drive:
    drive = Drive()
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(gdown, "download_folder", drive.download_folder)
    monkeypatch.setattr(gdown, "download", drive.download)
    return drive


def names(entry: Official) -> list[str]:
    return sorted(path.name for path in entry.target.parent.iterdir())


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
    assert pick(MARKET, files, "c.pth").id == "3"
    for entry, chosen in ((OFFICIAL[1], None), (MARKET, "none.pth")):
        with pytest.raises(WeightsError, match="no file fits") as caught:
            pick(entry, files, chosen)
        assert "  c.pth" in caught.value.message


def test_folder_is_listed_without_what_is_no_weights(drive: Drive) -> None:
    drive.files = {"README.txt": b"", "log/a.log": b"", "x/market.PTH": b"", "veri.pth.tar": b""}
    assert [file.path for file in list_folder()] == ["x/market.PTH", "veri.pth.tar"]


def test_weights_are_checked_and_their_hash_recorded(drive: Drive) -> None:
    drive.files = {"market.pth": NETWORK, "market_cam.pth": NETWORK}
    path = fetch_official(MARKET, Silent())
    assert path == MARKET.target
    assert names(MARKET) == ["pplr-market.pth", "pplr-market.pth.sha256"]
    assert set(torch.load(path, weights_only=True)) == set(NETWORK)
    assert fetch_official(MARKET, Silent()) == path
    assert drive.asked == ["market.pth"]


FETCHING = """
import sys
from pathlib import Path
from pplr_cli.progress import Silent
from pplr_cli.weights.download import sole_writer
target = Path(sys.argv[1])
with sole_writer(target.with_name(f".{target.name}.part"), target.name, Silent()):
    print("fetching", flush=True)
    sys.stdin.readline()
    target.write_bytes(b"weights")
"""


def test_two_at_once_fetch_once(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.files = {"market.pth": NETWORK}
    MARKET.target.parent.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", FETCHING, str(MARKET.target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "fetching\n"
    told: list[str] = []

    def info(message: str) -> None:
        told.append(message)
        other.communicate("\n")

    reporter = Silent()
    monkeypatch.setattr(reporter, "info", info)
    assert fetch_official(MARKET, reporter).read_bytes() == b"weights"
    assert told == ["waiting for another process that fetches `pplr-market.pth`"]
    assert drive.asked == []
    assert names(MARKET) == ["pplr-market.pth"]


def test_altered_file_is_noticed(drive: Drive) -> None:
    drive.files = {"market.pth": NETWORK}
    path = fetch_official(MARKET, Silent())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="wrong content"):
        fetch_official(MARKET, Silent())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><title>Quota</title>", "`market.pth`: this is a web page"),
        (b"not weights at all", "`market.pth`: not a weights file"),
        ({"conv1.weight": torch.zeros(2)}, "no PPLR network: `base.0.weight` is missing"),
        (gdown.FileURLRetrievalError("Too many users\n have viewed"), "Too many users have viewed"),
        (gdown.DownloadError("ended early"), "ended early"),
        (requests.ConnectionError("no route"), "no connection (no route)"),
    ],
)
def test_what_is_no_pplr_network_is_refused(drive: Drive, content: Any, message: str) -> None:
    drive.files = {"market.pth": content}
    with pytest.raises(WeightsError) as caught:
        fetch_official(MARKET, Silent())
    assert message in caught.value.message
    assert DRIVE_URL in caught.value.message
    assert caught.value.hint
    assert names(MARKET) == []


def test_errors_of_the_disk_are_not_laid_to_the_network(drive: Drive) -> None:
    drive.files = {"market.pth": OSError(errno.ENOSPC, "No space left on device")}
    with pytest.raises(OSError, match="No space left"):
        fetch_official(MARKET, Silent())


def test_real_gdown_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path))
    with pytest.raises(WeightsError, match="no connection") as caught:
        fetch_official(MARKET, Silent())
    assert DRIVE_URL in str(caught.value.hint)
