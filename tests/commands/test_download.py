"""`pplr download-weights`."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pplr_cli.commands.download import download_weights
from pplr_cli.errors import UsageError
from pplr_cli.weights import drive, imagenet
from pplr_cli.weights.catalogue import everything

app = typer.Typer()
app.command()(download_weights)


@pytest.fixture(autouse=True)
def empty_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


def pplr_download_weights(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_listing_shows_what_there_is_and_what_is_here() -> None:
    target = everything()["resnet50"].target
    target.parent.mkdir(parents=True)
    target.write_bytes(b"")
    rows = pplr_download_weights().splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(everything())
    here = {row.split()[0]: row.split()[-2:] for row in rows}
    assert here["resnet50"] == ["yes", str(target)]
    assert here["resnet18"][0] == here["market"][0] == "no"


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match="`resnet5`: no such weights") as caught:
        pplr_download_weights("resnet5")
    assert caught.value.hint == "did you mean `resnet50`?"


def test_names_lead_to_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fetch_official(entry: object, reporter: object, file: str | None) -> Path:
        asked.append((entry, file))
        return Path("official.pth")

    def imagenet_file(backbone: str, reporter: object) -> Path:
        asked.append(backbone)
        return Path("resnet.pth")

    monkeypatch.setattr(drive, "fetch_official", fetch_official)
    monkeypatch.setattr(imagenet, "imagenet_file", imagenet_file)
    assert pplr_download_weights("veri-cam", "--file", "a/b.pth") == "official.pth\n"
    assert pplr_download_weights("resnet34") == "resnet.pth\n"
    assert asked == [(everything()["veri-cam"], "a/b.pth"), "resnet34"]
