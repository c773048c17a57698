"""`pplr download-weights`."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import pplr_cli
from pplr_cli.commands.download import download_weights
from pplr_cli.config.backbones import Backbone
from pplr_cli.engine.network import Network
from pplr_cli.errors import UsageError, WeightsError
from pplr_cli.weights import store
from pplr_cli.weights.catalogue import everything
from pplr_cli.weights.digest import file_sha256
from pplr_cli.weights.store import Source

app = typer.Typer()
app.command()(download_weights)


def save_network(path: Path, value: float, backbone: Backbone = "resnet50") -> Path:
    """Save a PPLR network of one value; expanded, so that the file stays small."""
    with torch.device("meta"):
        network = Network(backbone, classes=2)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    one = torch.tensor(value)
    torch.save({f"module.{name}": one.expand(shape) for name, shape in shapes.items()}, path)
    return path


@pytest.fixture(autouse=True)
def empty_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A file of a PPLR network."""
    return save_network(tmp_path / "mine.pth", 0.0)


def pplr_download_weights(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_listing_shows_what_there_is_and_what_is_here() -> None:
    target = everything()["resnet50"].target
    target.parent.mkdir(parents=True)
    target.write_bytes(bytes(3_000_000))
    rows = pplr_download_weights().splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(everything())
    here = {row.split()[0]: row.split()[-4:] for row in rows}
    assert here["resnet50"] == ["3.0", "MB", "yes", str(target)]
    assert here["resnet18"][:3] == ["46.8", "MB", "no"]
    assert here["market-cam"][:3] == ["192.7", "MB", "no"]


def test_listing_as_a_document() -> None:
    documents = json.loads(pplr_download_weights("--json"))["downloads"]
    assert [each["name"] for each in documents] == list(everything())
    by_name = {each["name"]: each for each in documents}
    assert by_name["resnet152"] == {
        "name": "resnet152",
        "description": "torchvision, ImageNet (IMAGENET1K_V1)",
        "source": everything()["resnet152"].url,
        "bytes": everything()["resnet152"].size,
        "exists": False,
        "weights": str(everything()["resnet152"].target),
        "published_sha256": "394f9c45",
        "licence": "BSD-3-Clause",
        "effect": "the paper's start: 81.5 mAP on Market-1501, 31.4 on MSMT17",
        "sha256": None,
    }
    assert by_name["resnet50-lup"]["published_sha256"] is None
    assert by_name["resnet50-lup"]["bytes"] is None


def test_a_start_that_its_authors_only_link_to(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its authors link to it on a page") as caught:
        pplr_download_weights("resnet50-lup")
    assert str(caught.value.hint).startswith("open https://github.com/DengpanFu/LUPerson ")
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in Network("resnet50", classes=1).base.state_dict().items()}
    one = torch.tensor(0.0)
    content = {f"module.encoder_q.{name}": one.expand(shape) for name, shape in shapes.items()}
    torch.save({"state_dict": content}, tmp_path / "lup.pth")
    taken = pplr_download_weights(
        "resnet50-lup", "--from-file", str(tmp_path / "lup.pth"), "--json"
    )
    (document,) = json.loads(taken)["downloads"]
    assert document["sha256"] == file_sha256(tmp_path / "lup.pth")
    assert Path(f"{document['weights']}.sha256").is_file()
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="another architecture"):
        pplr_download_weights("resnet50-lup", "--force", "--from-file", str(tmp_path / "other.pth"))


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["resnet5"], "`resnet5`: no such weights", "did you mean `resnet50`?"),
        (["--force"], "missing NAME", "there are market, market-cam,"),
        (["--url", "http://a.b/c"], "missing NAME", "there are market,"),
        (["veri", "--url", "http://a.b/c", "--from-file", "c"], "exclude each other", "keep one"),
        (["veri", "--url", "c.pth"], "`--url c.pth`: not a web address", "`--from-file`"),
        (["veri", "--url", "file:///c.pth"], "not a web address", "`--from-file`"),
        (["veri", "--url", "http://[1/c.pth"], "not a web address", "https://"),
        (["resnet50", "--drive-file", "c"], "does not come from the authors'", "leave it out"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        pplr_download_weights(*arguments)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_names_lead_to_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def obtain(entry: Any, reporter: object, source: object, force: bool, fits: Any) -> Path:
        asked.append((entry.name, source, force))
        return Path("file.pth")

    monkeypatch.setattr(store, "obtain", obtain)
    assert pplr_download_weights("veri-cam", "--drive-file", "a/b.pth") == "file.pth\n"
    assert pplr_download_weights("resnet34", "--force") == "file.pth\n"
    assert asked == [
        ("veri-cam", Source(drive_file="a/b.pth"), False),
        ("resnet34", Source(), True),
    ]


def test_file_at_hand_is_taken_and_told(network: Path) -> None:
    target = everything()["veri"].target
    done = CliRunner().invoke(app, ["veri", "--from-file", str(network)])
    assert done.stdout == f"{target}\n"
    assert done.stderr == f"next: `pplr evaluate --preset veri --weights {target}`\n"
    (document,) = json.loads(pplr_download_weights("veri", "--json"))["downloads"]
    assert document["exists"] is True
    assert document["sha256"] == file_sha256(network)


def test_file_that_is_there_already_is_kept_unless_forced(network: Path) -> None:
    pplr_download_weights("veri", "--from-file", str(network))
    other = save_network(network.with_name("other.pth"), 1.0)
    done = CliRunner().invoke(app, ["veri", "--from-file", str(other)])
    assert "`veri` exists already" in done.stderr
    assert "`--force` replaces it" in done.stderr
    assert everything()["veri"].target.read_bytes() == network.read_bytes()
    pplr_download_weights("veri", "--from-file", str(other), "--force")
    assert everything()["veri"].target.read_bytes() == other.read_bytes()


def test_other_networks_are_refused(tmp_path: Path) -> None:
    file = save_network(tmp_path / "small.pth", 0.0, "resnet18")
    with pytest.raises(WeightsError, match=rf"`{file}`: another architecture: ") as caught:
        pplr_download_weights("veri", "--from-file", str(file))
    assert "these are not the published weights" in str(caught.value.hint)
    assert not everything()["veri"].target.exists()


def test_damaged_file_names_the_way_out(network: Path) -> None:
    path = Path(pplr_download_weights("veri", "--from-file", str(network)).strip())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError) as caught:
        pplr_download_weights("veri")
    assert caught.value.hint == "fetch it again: `pplr download-weights veri --force`"


@pytest.fixture
def mirror(network: Path) -> Iterator[str]:
    """The address of a server that serves the folder of `network`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = partial(Quiet, directory=str(network.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def pplr(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pplr_cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(pplr_cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_mirror_as_a_user_meets_it(mirror: str, network: Path) -> None:
    missing = pplr("download-weights", "veri", "--url", f"{mirror}/none.pth")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith(
        f"error: `{mirror}/none.pth`: the server answered 404 File not found\nhint: open https://"
    )
    network.rename(network.with_name("größe 1.pth"))
    done = pplr("download-weights", "veri", "--url", f"{mirror}/größe 1.pth")
    assert done.returncode == 0, done.stderr
    there = Path(done.stdout.strip())
    assert there.read_bytes() == network.with_name("größe 1.pth").read_bytes()
