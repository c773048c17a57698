"""Folders of image files that were never prepared."""

import os
from pathlib import Path

import pytest

from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.folder import open_folder, open_images, same_files
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


def test_a_pattern_finds_cameras_and_tracks(tmp_path, plant):
    plant(tmp_path, ["hall/7/1.jpg", "hall/7/2.jpg", "yard/7/1.jpg"])
    pattern = r"^(?P<camera>\w+)/(?P<track>\w+)/(?P<frame>\d+)"
    images = open_images(tmp_path, tmp_path, Silent(), pattern=pattern)
    assert [images.names.camera(camera) for camera in images.cameras] == ["hall", "hall", "yard"]
    assert images.tracks.tolist() == [7, 7, 7]
    assert images.times.tolist() == [1, 2, 1]
    with pytest.raises(UsageError, match="no named group"):
        open_images(tmp_path, tmp_path, Silent(), pattern="x")


def test_a_data_set_by_its_name_or_its_folder(tiny_data, tmp_path, monkeypatch):
    expected = Manifest.load(tiny_data / "tiny" / "manifest.json")
    for source in (Path("tiny"), tiny_data / "tiny"):
        images = open_images(source, tiny_data, Silent())
        assert images.files == [expected.root / path for path in expected.paths]
    with pytest.raises(UsageError, match="is a prepared data set"):
        open_images(Path("tiny"), tiny_data, Silent(), pattern="(?P<camera>.)")
    monkeypatch.chdir(tiny_data)  # a folder of the same name with a manifest is the data set
    assert open_images(Path("tiny"), tmp_path, Silent()).files == images.files


def test_a_folder_wins_over_a_data_set_of_its_name(tiny_data, tmp_path, plant, monkeypatch):
    plant(tmp_path, ["tiny/a.jpg"])
    monkeypatch.chdir(tmp_path)
    assert open_images(Path("tiny"), tiny_data, Silent()).paths == ("a.jpg",)


def test_what_is_neither_is_an_error_that_names_the_data_sets(tiny_data):
    with pytest.raises(DataError, match=r"`shop`: no such file or folder") as caught:
        open_images(Path("shop"), tiny_data, Silent())
    assert caught.value.hint == "check the path; prepared data sets: `tiny`"
