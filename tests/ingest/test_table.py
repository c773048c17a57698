import os
from collections import Counter
from pathlib import Path

import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.table import read_table

PATHS = ["a.jpg", "yard/b c.jpg", "yard/é.jpg"]


def read(folder: Path, content: str | bytes) -> dict[str, dict[str, str | None]]:
    table = folder / "labels.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(table, folder / "crops", PATHS)


def test_columns_come_in_any_order_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    text = (
        "Split,path,identity,camera\ntrain,a.jpg,,7\n,yard/é.jpg,12,\nquery, yard/b c.jpg ,amy,2\n"
    )
    assert read(tmp_path, text) == {
        "a.jpg": {"split": "train", "identity": None, "camera": "7"},
        "yard/é.jpg": {"split": None, "identity": "12", "camera": None},
        "yard/b c.jpg": {"split": "query", "identity": "amy", "camera": "2"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "path,camera\na.jpg,3\n",
        "path;camera\na.jpg;3\n",
        "path\tcamera\na.jpg\t3\n",
        "\ufeffpath,camera\r\n\r\na.jpg,3\r\n",
        'path,camera\n"./a.jpg","3"\n',
        "path,camera\na.jpg,3",
    ],
)
def test_separators_quotes_line_ends_and_marks(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {"a.jpg": {"camera": "3"}}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_the_unicode_text_of_excel_is_read(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    text = f"{mark}path\tcamera\r\nyard/é.jpg\t3\r\n".encode(encoding)
    assert read(tmp_path, text) == {"yard/é.jpg": {"camera": "3"}}


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"PK\x03\x04\x14\0", "an Excel workbook"), ("path".encode("utf-16-le"), "neither UTF-8 nor")],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(tmp_path, content)
    assert caught.value.hint == "save it as `CSV UTF-8`"


def test_windows_separators_are_forgiven(tmp_path: Path) -> None:
    assert list(read(tmp_path, "path,camera\nyard\\b c.jpg,3\n")) == ["yard/b c.jpg"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(b"path,camera\n\xff.jpg,3\n")
    name = os.fsdecode(b"\xff.jpg")
    assert read_table(table, tmp_path, [name]) == {name: {"camera": "3"}}


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    text = "path,camera\na.jpg,1\ngone.jpg,2\n../a.jpg,2\n/a.jpg,2\na.jpg,3\nyard/b c.jpg\n"
    with pytest.raises(DataError, match=r"5 lines do not fit the images of `.*crops`") as caught:
        read(tmp_path, text)
    assert [line.strip() for line in caught.value.message.splitlines()[1:]] == [
        "line 3: no image `gone.jpg`",
        "line 4: no image `../a.jpg`",
        "line 5: no image `/a.jpg`",
        "line 6: `a.jpg` a second time",
        "line 7: 1 cells, not 2",
    ]
    assert "below that folder" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "columns missing"),
        ("a.jpg,3\n", "columns `a.jpg`, `3`"),
        ("path,person\na.jpg,3\n", "columns `path`, `person`"),
        ("camera,identity\n1,2\n", "columns `camera`, `identity`"),
        ("path\na.jpg\n", "columns `path`"),
        ("path,camera,camera\na.jpg,1,2\n", "columns `path`, `camera`, `camera`"),
        ("path,camera\n", "names no image"),
        ("path,camera\na.jpg," + "x" * 140_000, "field larger"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read(tmp_path, text)
    assert "`path,camera`" in (caught.value.hint or "")
    assert f"`{tmp_path / 'labels.csv'}`" in caught.value.message


def test_other_columns_are_not_read(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,weather,camera,notes\na.jpg,rain,3,x\n")
    notes: Counter[str] = Counter()
    assert read_table(table, tmp_path, ["a.jpg"], notes) == {"a.jpg": {"camera": "3"}}
    assert notes == {"columns not read, `weather`, `notes`": 2}


@pytest.mark.parametrize(("typo", "meant"), [("identiy", "identity"), ("cameras", "camera")])
def test_a_misspelt_column_is_an_error(tmp_path: Path, typo: str, meant: str) -> None:
    with pytest.raises(DataError, match=f"unknown column `{typo}`") as caught:
        read(tmp_path, f"path,{typo},track\na.jpg,3,1\n")
    assert caught.value.hint == f"did you mean `{meant}`?"


def test_a_table_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="not a file"):
        read_table(tmp_path / "labels.csv", tmp_path, PATHS)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv", tmp_path, PATHS)
