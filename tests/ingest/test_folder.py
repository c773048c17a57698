"""Folders of image files that were never prepared."""

import os
from pathlib import Path

import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.folder import open_folder, same_files, without_broken
from pplr_cli.progress import Silent
from pplr_cli.terminal.console import Console


def test_images_at_any_depth_and_nothing_else(tmp_path, plant, capsys):
    plant(tmp_path, ["b.jpg", "a/x.PNG", "a/deep/y.jpeg", "notes.txt", ".hidden.jpg", "a/._b.jpg"])
    images = open_folder(tmp_path, Console())
    assert images.paths == ("a/deep/y.jpeg", "a/x.PNG", "b.jpg")
    assert images.root == tmp_path
    assert (images.identities == -1).all()
    assert "other files left out: 3" in capsys.readouterr().err


def test_a_single_image(tmp_path, plant):
    plant(tmp_path, ["a/x.jpg", "a/y.jpg"])
    images = open_folder(tmp_path / "a" / "x.jpg", Silent())
    assert images.files == [tmp_path / "a" / "x.jpg"]


def test_a_file_counts_once_whatever_its_names(tmp_path, plant, capsys):
    plant(tmp_path, ["b/one.jpg", "two.jpg"])
    os.link(tmp_path / "two.jpg", tmp_path / "a.jpg")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "b" / "one.jpg")
    images = open_folder(tmp_path, Console())
    assert images.paths == ("a.jpg", "b/one.jpg")
    assert "further names of the same files left out: 2" in capsys.readouterr().err
    assert len(set(same_files(images))) == 2


def test_links_that_lead_nowhere_are_named(tmp_path, plant, capsys):
    plant(tmp_path, ["a.jpg"])
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    assert open_folder(tmp_path, Console()).paths == ("a.jpg",)
    assert "nowhere or back up:\n  gone.jpg\n  loop" in capsys.readouterr().err


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"`.*lost`: no such file or folder"):
        open_folder(tmp_path / "lost", Silent())
    with pytest.raises(DataError, match="holds no images"):
        open_folder(tmp_path, Silent())


def test_broken_images_are_named_and_left_out(tmp_path, plant, capsys):
    plant(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-40])
    (tmp_path / "empty.png").touch()
    images = without_broken(open_folder(tmp_path, Silent()), Console(), workers=2)
    assert images.paths == ("a.jpg", "b.jpg")
    told = capsys.readouterr().err
    assert "2 of 4 image files cannot be used and are left out" in told
    assert "  cut.jpg: " in told
    assert "  empty.png: empty" in told


def test_only_broken_images_are_an_error(tmp_path: Path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="1 of 1 image files cannot be used"):
        without_broken(open_folder(tmp_path, Silent()), Silent(), workers=1)
