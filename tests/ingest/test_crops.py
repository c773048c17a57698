import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pplr_cli.data.manifest import UNKNOWN, Image, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.crops import NOT_NAMED, compile_pattern, read_crops
from pplr_cli.ingest.trees import FOREIGN_IMAGES, NOT_FILES, OTHER_FILES

Plant = Callable[[Path, Iterable[str]], Path]


def test_without_a_pattern_everything_is_training_and_unknown(tmp_path: Path, plant: Plant) -> None:
    plant(
        tmp_path, ["b/x.JPG", "a.png", "c d/é.jpeg", "Thumbs.db", "__MACOSX/._a.png", ".git/a.jpg"]
    )
    reading = read_crops(tmp_path, None)
    assert set(reading.images) == {
        Image(Split.TRAIN, path, UNKNOWN, UNKNOWN) for path in ("a.png", "b/x.JPG", "c d/é.jpeg")
    }
    assert reading.notes == {OTHER_FILES: 1, NOT_FILES: 2}


def test_a_pattern_is_searched_in_the_relative_path(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["cam2/0007_a.jpg", "cam10/0012_b.jpg"])
    pattern = compile_pattern(r"cam(?P<camera>\d+)/(?P<identity>\d+)_")
    assert read_crops(tmp_path, pattern).images == [
        Image(Split.TRAIN, "cam10/0012_b.jpg", 12, 10),
        Image(Split.TRAIN, "cam2/0007_a.jpg", 7, 2),
    ]


def test_names_are_numbered_in_sorted_order(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["yard/zoe.jpg", "hall/amy.jpg", "yard/10.jpg"])
    pattern = compile_pattern(r"(?P<camera>\w+)/(?P<identity>\w+)\.jpg")
    found = {i.path: (i.identity, i.camera) for i in read_crops(tmp_path, pattern).images}
    assert found == {"hall/amy.jpg": (1, 0), "yard/10.jpg": (0, 1), "yard/zoe.jpg": (2, 1)}


def test_splits_and_groups_that_take_no_part(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["query/3.jpg", "gallery/-5.jpg", "x.jpg"])
    pattern = compile_pattern(r"(?:(?P<split>\w+)/(?P<identity>-?\d+))?")
    assert set(read_crops(tmp_path, pattern).images) == {
        Image(Split.TRAIN, "x.jpg", UNKNOWN, UNKNOWN),
        Image(Split.QUERY, "query/3.jpg", 3, UNKNOWN),
        Image(Split.GALLERY, "gallery/-5.jpg", UNKNOWN, UNKNOWN),
    }


def test_a_table_names_the_images_that_are_taken(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "crops", ["a.jpg", "yard/b.jpg", "yard/c.jpg", "x.csv"])
    table = tmp_path / "labels.csv"
    table.write_text("path,camera,identity,split\na.jpg,hall,,\nyard/c.jpg,yard,7,query\n")
    reading = read_crops(tmp_path / "crops", table=table)
    assert reading.images == [
        Image(Split.TRAIN, "a.jpg", UNKNOWN, 0),
        Image(Split.QUERY, "yard/c.jpg", 7, 1),
    ]
    assert reading.notes == {NOT_NAMED: 1, OTHER_FILES: 1}


def test_paths_that_do_not_match_are_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["1.jpg", "two.jpg"])
    with pytest.raises(DataError, match=r"1 of 2 paths(?s:.)*two\.jpg"):
        read_crops(tmp_path, compile_pattern(r"(?P<identity>\d+)"))


def test_unknown_splits_are_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["val/1.jpg"])
    with pytest.raises(DataError, match="no known split") as caught:
        read_crops(tmp_path, compile_pattern(r"(?P<split>\w+)/"))
    assert "val/1.jpg (val)" in caught.value.message


def test_a_loop_of_links_ends_and_nothing_remains(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/loop").symlink_to("..")
    (tmp_path / "a/self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "a/x.jpg")
    with pytest.raises(DataError, match="holds no images"):
        read_crops(tmp_path, None)


def test_images_of_other_kinds_are_told(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["a.webp", "b.BMP", "notes.txt"])
    with pytest.raises(DataError, match=f"holds no images; {FOREIGN_IMAGES}: 2") as caught:
        read_crops(tmp_path)
    assert "convert" in (caught.value.hint or "")
    plant(tmp_path, ["c.jpg"])
    assert read_crops(tmp_path).notes == {FOREIGN_IMAGES: 2, OTHER_FILES: 1}


def test_names_that_are_not_utf8_are_read(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, [os.fsdecode(b"\xff.jpg")])
    (image,) = read_crops(tmp_path, None).images
    assert os.fsencode(image.path) == b"\xff.jpg"


@pytest.mark.parametrize("text", ["(", "(?P<person>x)", r"\d+"])
def test_patterns_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError, match="--pattern"):
        compile_pattern(text)
