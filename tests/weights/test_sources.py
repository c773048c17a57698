"""Where weights are taken from."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pplr_cli.errors import PplrError
from pplr_cli.progress import Silent
from pplr_cli.weights import drive, sources
from pplr_cli.weights.catalogue import OFFICIAL, imagenet
from pplr_cli.weights.sources import Source


def test_publishers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []
    monkeypatch.setattr(sources.Transfer, "to", lambda self, *_: asked.append(self.url))
    monkeypatch.setattr(drive, "fetch", lambda entry, part, _, chosen: asked.append(chosen))
    with (tmp_path / "note").open("a+") as note:
        for entry in (imagenet("resnet50"), OFFICIAL[0]):
            Source(drive_file="a/b.pth").bring(entry, tmp_path / "part", note, Silent())
    assert asked == [imagenet("resnet50").url, "a/b.pth"]


def test_room_for_a_copy_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, part = tmp_path / "a.pth", tmp_path / "part"
    file.write_bytes(bytes(2_000_000))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with (
        pytest.raises(PplrError, match=r"a\.pth` needs 2\.0 MB, 1\.0 MB are free"),
        (tmp_path / "note").open("a+") as note,
    ):
        Source(file=file).bring(OFFICIAL[0], part, note, Silent())
    assert not part.exists()
