"""Listing the images of a folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest import walk
from pplr_cli.ingest.walk import NOT_FILES, OTHER_FILES, Reading, list_images

Plant = Callable[[Path, Iterable[str]], Path]


def found(root: Path, **options: object) -> tuple[list[str], Reading]:
    reading = Reading()
    return list_images(root, reading, **options), reading  # type: ignore[arg-type]


def test_links_to_folders_are_followed(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["disk/a.jpg", "disk/deep/b.jpg", "crops/c.jpg"])
    (tmp_path / "crops/all").symlink_to("../disk")
    assert found(tmp_path / "crops")[0] == ["all/a.jpg", "all/deep/b.jpg", "c.jpg"]


@pytest.mark.parametrize("target", ["..", ".", "../..", "../../..", "/"])
def test_loops_are_left_out_and_named(tmp_path: Path, plant: Plant, target: str) -> None:
    plant(tmp_path / "x/crops", ["a/b.jpg"])
    plant(tmp_path / "x", ["outside.jpg"])
    (tmp_path / "x/crops/a/loop").symlink_to(target)
    paths, reading = found(tmp_path / "x/crops")
    assert paths == ["a/b.jpg"]
    assert reading.left_out == ["a/loop"]
    assert reading.notes == {NOT_FILES: 1}


def test_two_links_that_lead_to_each_other_end(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["one/a.jpg", "two/b.jpg"])
    (tmp_path / "one/other").symlink_to("../two")
    (tmp_path / "two/other").symlink_to("../one")
    paths, reading = found(tmp_path)
    assert paths == ["one/a.jpg", "one/other/b.jpg", "two/b.jpg", "two/other/a.jpg"]
    assert sorted(reading.left_out) == ["one/other/other", "two/other/other"]


def test_broken_links_and_special_files_are_named_and_hidden_folders_counted(
    tmp_path: Path, plant: Plant
) -> None:
    plant(tmp_path, ["a.jpg", ".cache/b.jpg", "__MACOSX/._a.jpg", "notes.txt"])
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    paths, reading = found(tmp_path)
    assert paths == ["a.jpg"]
    assert reading.notes == {NOT_FILES: 5, OTHER_FILES: 1}
    assert sorted(reading.left_out) == ["gone.jpg", "pipe.jpg", "self.jpg"]


def test_every_folder_that_cannot_be_read_is_named(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, ["a/1.jpg", "b/2.jpg", "c/deep/3.jpg"])
    whole = os.scandir

    @contextmanager
    def scandir(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        if path.name in ("b", "deep"):  # the tests may run as root, who may read everything
            raise PermissionError(13, os.strerror(13), str(path))
        with whole(path) as entries:
            yield entries

    with monkeypatch.context() as patched:
        patched.setattr(walk.os, "scandir", scandir)
        with pytest.raises(DataError, match="2 folders cannot be read") as caught:
            found(tmp_path)
    assert "  b/: Permission denied" in caught.value.message
    assert "  c/deep/: Permission denied" in caught.value.message
    assert "chmod" in (caught.value.hint or "")


def test_folders_in_a_split_folder_are_named(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["query/a.jpg", "query/deep/b.jpg", "c.jpg"])
    paths, reading = found(tmp_path, below="query/", deep=False)
    assert paths == ["query/a.jpg"]
    assert reading.left_out == ["query/deep"]


def test_own_files_are_passed_over(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["a.jpg", "people.png", "data/x/b.jpg"])
    paths, reading = found(tmp_path, passed={"people.png", "data"})
    assert paths == ["a.jpg"]
    assert not reading.notes
