from pathlib import Path

import pytest

from pplr_cli.errors import DataError, UsageError
from pplr_cli.runs.label_folders import write_folders
from pplr_cli.runs.labels import Row

ROWS = [
    Row("a/1.jpg", 3, 0.5, None),
    Row("b/1.jpg", 3, 0.5, None),
    Row("c.jpg", 12, 0.5, None),
    Row("d.jpg", -1, 0.5, None),
]


def images(root: Path) -> Path:
    for row in ROWS:
        path = root / row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row.path)
    return root


@pytest.mark.parametrize("copy", [True, False])
def test_each_identity_is_a_folder(tmp_path: Path, copy: bool) -> None:
    target = tmp_path / "out"
    write_folders(ROWS, images(tmp_path / "data"), target, copy=copy)
    found = {
        str(file.relative_to(target)): (file.read_text(), file.is_symlink())
        for file in target.rglob("*.jpg")
    }
    assert found == {
        "00003/a__1.jpg": ("a/1.jpg", not copy),
        "00003/b__1.jpg": ("b/1.jpg", not copy),
        "00012/c.jpg": ("c.jpg", not copy),
        "_unlabeled/d.jpg": ("d.jpg", not copy),
    }


def test_links_hold_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    write_folders(ROWS, Path("data"), Path("out"), copy=False)
    monkeypatch.chdir("/")
    assert (tmp_path / "out/00012/c.jpg").read_text() == "c.jpg"


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    root = images(tmp_path / "data")
    with pytest.raises(UsageError, match="the folder is not empty"):
        write_folders(ROWS, root, root, copy=False)
    (tmp_path / "empty").mkdir()
    write_folders(ROWS, root, tmp_path / "empty", copy=False)
    assert len(list((tmp_path / "empty").iterdir())) == 3


def test_earlier_folders_are_replaced_and_others_kept(tmp_path: Path) -> None:
    root, target = images(tmp_path / "data"), tmp_path / "out"
    write_folders(ROWS, root, target, copy=False)
    (target / "mine").mkdir()
    write_folders(ROWS[2:], root, target, copy=False, overwrite=True)
    assert sorted(path.name for path in target.iterdir()) == ["00012", "_unlabeled", "mine"]
    assert (root / "a/1.jpg").is_file()


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a__1\.jpg"):
        write_folders(ROWS, tmp_path, tmp_path / "out", copy=True)
