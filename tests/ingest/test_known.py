"""Known identities: tables and folders."""

import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.folder import open_folder
from pplr_cli.ingest.known import read_known
from pplr_cli.progress import Silent
from pplr_cli.terminal.console import Console


@pytest.fixture
def images(tmp_path, plant):
    return open_folder(plant(tmp_path / "crops", ["a.jpg", "b/c.jpg", "d.jpg"]), Silent())


def table(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def test_a_table(tmp_path, images, capsys):
    path = table(tmp_path, "path,pseudo_identity,x\nd.jpg,007,1\na.jpg,-1,\nb/c.jpg,anna,\nz,3,\n")
    known = read_known(path, images, Console())
    assert known.images.paths == ("b/c.jpg", "d.jpg")
    assert known.names == ("anna", "7")
    said = capsys.readouterr().err
    assert "1 of its 4 images are not in" in said
    assert "--known-images" in said
    path = table(tmp_path, "path,identity\na.jpg,x\nd.jpg,\n")
    assert read_known(path, images, Silent()).names == ("x",)


def test_folders(tmp_path, plant):
    root = plant(tmp_path / "known", ["00012/a.jpg", "anna/x/b.jpg", "_unlabeled/c.jpg"])
    known = read_known(root, None, Silent())
    assert known.images.paths == ("00012/a.jpg", "anna/x/b.jpg")
    assert known.names == ("12", "anna")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,person\na.jpg,1\n", "csv`: no column `pseudo_identity`"),
        ("path,pseudo_identity\na.jpg,-1\n", "no image with an identity"),
        ("path,pseudo_identity\nx.jpg,1\n", "1 of its 1 images are not in"),
    ],
)
def test_tables_without_known_images(tmp_path, images, text, message):
    with pytest.raises(DataError, match=message):
        read_known(table(tmp_path, text), images, Silent())


def test_what_is_not_there_or_in_no_folder(tmp_path, images):
    with pytest.raises(DataError, match="No such file"):
        read_known(tmp_path / "lost.csv", images, Silent())
    with pytest.raises(DataError, match=r"2 images are in no folder of an identity:\n  a.jpg"):
        read_known(tmp_path / "crops", images, Silent())
