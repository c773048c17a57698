import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.crops import (
    NOT_NAMED,
    SKIPPED,
    add_tracks,
    compile_pattern,
    parse_split_names,
    read_crops,
)
from pplr_cli.ingest.walk import FOREIGN_IMAGES, NOT_FILES, OTHER_FILES, Reading

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


def test_names_get_the_numbers_after_the_integers(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["yard/zoe.jpg", "hall/amy.jpg", "yard/10.jpg"])
    pattern = compile_pattern(r"(?P<camera>\w+)/(?P<identity>\w+)\.jpg")
    reading = read_crops(tmp_path, pattern)
    found = {i.path: (i.identity, i.camera) for i in reading.images}
    assert found == {"hall/amy.jpg": (11, 0), "yard/10.jpg": (10, 1), "yard/zoe.jpg": (12, 1)}
    assert reading.names == Names({11: "amy", 12: "zoe"}, {0: "hall", 1: "yard"})


def test_one_named_animal_among_unknown_ones_leaves_them_unknown(
    tmp_path: Path, plant: Plant
) -> None:
    plant(tmp_path / "crops", [f"{n}.jpg" for n in range(5)])
    table = tmp_path / "t.csv"
    table.write_text("path,identity\n0.jpg,leo\n1.jpg,-1\n2.jpg,-1\n3.jpg,17.0\n4.jpg,0017\n")
    reading = read_crops(tmp_path / "crops", table=table)
    assert [image.identity for image in reading.images] == [18, UNKNOWN, UNKNOWN, 17, 17]


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


def test_tracks_and_frames_of_a_pattern(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["c1/t7_0003.jpg", "c1/t7_0004.jpg", "c2/t7_0003.jpg", "c2/x_0001.jpg"])
    pattern = compile_pattern(r"c(?P<camera>\d)/(?:t(?P<track>\d+)|x)_(?P<frame>\d+)")
    assert read_crops(tmp_path, pattern).images == [
        Image(Split.TRAIN, "c1/t7_0003.jpg", UNKNOWN, 1, 7, 3),
        Image(Split.TRAIN, "c1/t7_0004.jpg", UNKNOWN, 1, 7, 4),
        Image(Split.TRAIN, "c2/t7_0003.jpg", UNKNOWN, 2, 7, 3),
        Image(Split.TRAIN, "c2/x_0001.jpg", UNKNOWN, 2, UNKNOWN, 1),
    ]


def test_tracks_and_times_of_a_table_keep_their_names(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "crops", ["a.jpg", "b.jpg", "c.jpg"])
    table = tmp_path / "t.csv"
    table.write_text("path,track,time\na.jpg,hall/1,2.5\nb.jpg,hall/1,\nc.jpg,4,nan\n")
    reading = read_crops(tmp_path / "crops", table=table)
    assert [image[4:] for image in reading.images] == [(5, 2.5), (5, UNKNOWN), (4, UNKNOWN)]
    assert reading.names.tracks == {5: "hall/1"}


def test_a_table_gives_tracks_to_other_layouts(tmp_path: Path) -> None:
    images = [Image(Split.TRAIN, "t/a.jpg", 3, 1), Image(Split.QUERY, "q/b.jpg", 4, 0)]
    reading, table = Reading(images), tmp_path / "t.csv"
    table.write_text("path,camera,track,frame\nt/a.jpg,9,12,3\n")
    add_tracks(reading, table, tmp_path)
    assert reading.images == [Image(Split.TRAIN, "t/a.jpg", 3, 1, 12, 3), images[1]]
    table.write_text("path,camera\nt/a.jpg,9\n")
    with pytest.raises(DataError, match="no track"):
        add_tracks(Reading(images), table, tmp_path)


def test_paths_that_do_not_match_are_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["1.jpg", "two.jpg"])
    with pytest.raises(DataError, match=r"1 of 2 paths(?s:.)*two\.jpg") as caught:
        read_crops(tmp_path, compile_pattern(r"(?P<identity>\d+)"))
    assert r"`(?P<identity>\d+)` is searched in paths relative to the folder" in str(
        caught.value.hint
    )
    assert "`--skip REGEX`" in str(caught.value.hint)
    with pytest.raises(DataError, match="2 of 2 paths") as caught:
        read_crops(tmp_path, compile_pattern(r"x(?P<identity>\d+)"))
    assert "--skip" not in str(caught.value.hint)


def test_unknown_splits_are_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["val/1.jpg"])
    with pytest.raises(DataError, match="no known split") as caught:
        read_crops(tmp_path, compile_pattern(r"(?P<split>\w+)/"))
    assert "val/1.jpg (val)" in caught.value.message


def test_splits_have_other_names_and_paths_are_skipped(tmp_path: Path, plant: Plant) -> None:
    paths = [f"{name}/{name}_1.jpg" for name in ("train_all", "probe", "gallery", "val")]
    plant(tmp_path, paths)
    pattern = compile_pattern(r"^(?P<split>\w+)/")
    names = parse_split_names("train_all=train, probe=query")
    reading = read_crops(tmp_path, pattern, skip=re.compile("^val/"), split_names=names)
    assert {image.path: image.split for image in reading.images} == dict(
        zip(paths[:3], Split, strict=True)
    )
    assert reading.notes == {SKIPPED: 1}
    with pytest.raises(DataError, match=r"1 paths of no known split:\n  probe/probe_1.jpg"):
        read_crops(tmp_path, pattern, skip=re.compile("all|val"))
    with pytest.raises(DataError, match="`--skip` leaves out every image"):
        read_crops(tmp_path, skip=re.compile(""))


def test_skipped_images_may_be_in_the_table(tmp_path: Path, plant: Plant) -> None:
    root, table = plant(tmp_path / "x", ["a.jpg", "b.jpg", "c.jpg"]), tmp_path / "labels.csv"
    table.write_text("path,camera\na.jpg,1\nb.jpg,2\n")
    reading = read_crops(root, table=table, skip=re.compile("^b"))
    assert [image.path for image in reading.images] == ["a.jpg"]
    assert reading.notes == {SKIPPED: 1, NOT_NAMED: 1}


@pytest.mark.parametrize("text", ["", "train", "a=val", "a=train,b", "=,"])
def test_split_names_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="names no split"):
        parse_split_names(text)


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
