import os
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from pplr_cli.data.images import Image, Split
from pplr_cli.errors import DataError
from pplr_cli.ingest.description import Layout
from pplr_cli.ingest.layouts import (
    CUHK03,
    DUKE,
    LAYOUTS,
    MARKET,
    MARS,
    MSMT17,
    PERSONX,
    VERI,
    VERIWILD,
)
from pplr_cli.ingest.trees import (
    DISTRACTORS,
    JUNK,
    explain_missing,
    find_root,
    find_root_above,
    read_tree,
)
from pplr_cli.ingest.walk import NOT_FILES, OTHER_FILES, is_image_name

Plant = Callable[[Path, Iterable[str]], Path]

MARKET_TREE = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c3s1_000551_01.JPG",
    "bounding_box_train/0007_c6s3_077419_03.jpeg",
    "bounding_box_train/0010_c2s1_000151_01.PNG",
    "bounding_box_train/Thumbs.db",
    "query/0001_c1s1_001051_00.jpg",
    "query/0003_c5s1_021176_00.jpg",
    "query/Thumbs.db",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/-1_c3s2_000401_03.Jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c2s1_001051_00.jpg",
    "bounding_box_test/0003_c4s6_015641_00.jpg",
    "bounding_box_test/._0003_c4s6_015641_00.jpg",
    "bounding_box_test/Thumbs.db",
    "gt_bbox/0001_c1s1_001051_00.jpg",
    "readme.txt",
]
BOXES = ("bounding_box_train", "query", "bounding_box_test")
DUKE_TREE = [
    "bounding_box_train/0001_c2_f0046182.jpg",
    "bounding_box_train/0005_c8_f0046985.jpg",
    "query/0033_c1_f0057706.jpg",
    "bounding_box_test/0033_c6_f0045755.jpg",
    "bounding_box_test/7140_c7_f0001234.jpg",
]
VERI_TREE = [
    "image_train/0001_c001_00016450_0.jpg",
    "image_train/0776_c020_00016460_0.jpg",
    "image_query/0002_c002_00030600_0.jpg",
    "image_test/0002_c005_00030670_1.jpg",
    "image_test/0005_c013_00030680_0.jpg",
    "name_test.txt",
]
MSMT17_LISTS = {
    "list_train.txt": ["0000/0000_000_01_0303morning_0015_0.jpg 0"],
    "list_val.txt": [
        "0000/0000_001_15_0303noon_0037_1.jpg 0",
        "0001/0001_000_02_0303noon_1_0.JPG 1",
    ],
    "list_query.txt": ["0000/0000_000_03_0303morning_0020_0.jpg 0"],
    "list_gallery.txt": [
        "0000/0000_001_04_0303noon_0031_0.jpg 0",
        "0002/0002_004_05_0303noon_2_0.png 2",
    ],
}


def plant_msmt17(root: Path, plant: Plant, train: str, test: str) -> Path:
    for name, lines in MSMT17_LISTS.items():
        folder = train if name in ("list_train.txt", "list_val.txt") else test
        plant(root, [f"{folder}/{line.split()[0]}" for line in lines])
        (root / name).write_text("\n".join(lines) + "\n")
    plant(root, [f"{train}/0009/0009_000_01_0303morning_0001_0.jpg", f"{test}/x.txt"])
    return root


def official_rule(root: Path, folders: dict[Split, str], pattern: str) -> set[Image]:
    """The official Market, VeRi and Duke loaders, restated without anything clever."""
    images = set()
    for split, folder in folders.items():
        for name in (path.name for path in (root / folder).iterdir()):
            if name.startswith(".") or name.split(".")[-1].lower() not in ("jpg", "jpeg", "png"):
                continue
            identity, camera = map(int, re.search(pattern, name).groups())  # type: ignore[union-attr]
            if identity == -1:
                continue
            images.add(Image(split, f"{folder}/{name}", identity, camera - 1))
    return images


@pytest.mark.parametrize(
    ("layout", "tree", "folders", "pattern"),
    [
        (
            MARKET,
            MARKET_TREE,
            ("bounding_box_train", "query", "bounding_box_test"),
            r"([-\d]+)_c(\d)",
        ),
        (DUKE, DUKE_TREE, ("bounding_box_train", "query", "bounding_box_test"), r"([-\d]+)_c(\d)"),
        (VERI, VERI_TREE, ("image_train", "image_query", "image_test"), r"([-\d]+)_c(\d\d\d)"),
    ],
    ids=["market", "duke", "veri"],
)
def test_trees_read_by_the_official_rule(
    tmp_path: Path,
    plant: Plant,
    layout: Layout,
    tree: list[str],
    folders: tuple[str, ...],
    pattern: str,
) -> None:
    reading = read_tree(plant(tmp_path, tree), layout)
    expected = official_rule(tmp_path, dict(zip(Split, folders, strict=True)), pattern)
    assert set(reading.images) == expected
    assert len(reading.images) == len(expected)


def test_market_counts_what_it_leaves_out_and_keeps_distractors(
    tmp_path: Path, plant: Plant
) -> None:
    reading = read_tree(plant(tmp_path, MARKET_TREE), MARKET)
    assert reading.notes == {JUNK: 2, DISTRACTORS: 1, OTHER_FILES: 4}
    distractor = Image(Split.GALLERY, "bounding_box_test/0000_c1s1_000151_01.jpg", 0, 0)
    assert distractor in reading.images


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_reads_its_lists_and_keeps_cameras_as_they_stand(
    tmp_path: Path, plant: Plant, train: str, test: str
) -> None:
    reading = read_tree(plant_msmt17(tmp_path, plant, train, test), MSMT17)
    assert reading.images == [
        Image(Split.TRAIN, f"{train}/0000/0000_000_01_0303morning_0015_0.jpg", 0, 1),
        Image(Split.TRAIN, f"{train}/0000/0000_001_15_0303noon_0037_1.jpg", 0, 15),
        Image(Split.TRAIN, f"{train}/0001/0001_000_02_0303noon_1_0.JPG", 1, 2),
        Image(Split.QUERY, f"{test}/0000/0000_000_03_0303morning_0020_0.jpg", 0, 3),
        Image(Split.GALLERY, f"{test}/0000/0000_001_04_0303noon_0031_0.jpg", 0, 4),
        Image(Split.GALLERY, f"{test}/0002/0002_004_05_0303noon_2_0.png", 2, 5),
    ]
    assert not reading.notes


def test_msmt17_lists_with_windows_line_ends_and_blank_lines(tmp_path: Path, plant: Plant) -> None:
    plant_msmt17(tmp_path, plant, "train", "test")
    plain = read_tree(tmp_path, MSMT17).images
    for name, lines in MSMT17_LISTS.items():
        (tmp_path / name).write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n\r\n").encode())
    assert read_tree(tmp_path, MSMT17).images == plain


def test_msmt17_lists_with_backslashes(tmp_path: Path, plant: Plant) -> None:
    plant_msmt17(tmp_path, plant, "train", "test")
    plain = read_tree(tmp_path, MSMT17).images
    for name, lines in MSMT17_LISTS.items():
        (tmp_path / name).write_text("\r\n".join(lines).replace("/", "\\"))
    assert read_tree(tmp_path, MSMT17).images == plain


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0005/0005_000_01_gone.jpg 5", "missing"),
        ("../../0000_000_01_outside.jpg 0", "names no image"),
        ("/0000_000_01_absolute.jpg 0", "names no image"),
        ("0000/notes.txt 0", "names no image"),
        ("0000/0000_000_01_0303morning_0015_0.jpg 0", "twice"),
    ],
)
def test_msmt17_lists_that_lie(tmp_path: Path, plant: Plant, line: str, what: str) -> None:
    plant_msmt17(tmp_path, plant, "train", "test")
    with (tmp_path / "list_val.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=what) as caught:
        read_tree(tmp_path, MSMT17)
    assert line.split()[0] in caught.value.message
    assert "fetch or unpack the data set again" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "name",
    [
        "portrait.jpg",
        "0002-c1.jpg",
        "0002_c7s1_000451_03.jpg",
        "0002_c0s1_0_0.jpg",
        "1502_c1s1_0_0.jpg",
        "copy_of_0002_c1s1_000451_03.jpg",
        "9" * 30 + "_c1s1_000451_03.jpg",
    ],
)
def test_names_that_do_not_fit_are_an_error(tmp_path: Path, plant: Plant, name: str) -> None:
    plant(tmp_path, [*MARKET_TREE, f"query/{name}"])
    with pytest.raises(DataError, match="1 image names") as caught:
        read_tree(tmp_path, MARKET)
    assert f"query/{name}" in caught.value.message
    assert MARKET.rule.example in (caught.value.hint or "")
    assert "identities 0 to 1501, cameras 1 to 6" in (caught.value.hint or "")


def test_a_split_without_images_names_the_folder_below(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, [path for path in MARKET_TREE if not path.startswith("query")])
    plant(tmp_path, ["query/query/0001_c1s1_001051_00.jpg"])
    with pytest.raises(DataError, match="one level deeper") as caught:
        read_tree(tmp_path, MARKET)
    assert "in that folder itself" in (caught.value.hint or "")


def test_fifos_and_links_to_nowhere_are_never_opened(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, DUKE_TREE)
    os.mkfifo(tmp_path / "query/0001_c1_f0000001.jpg")
    (tmp_path / "query/0001_c1_f0000002.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "query/0001_c1_f0000003.jpg").mkdir()
    (tmp_path / "query/0001_c1_f0000004.jpg").symlink_to("0001_c1_f0000004.jpg")
    reading = read_tree(tmp_path, DUKE)
    assert reading.notes[NOT_FILES] == 4
    assert sum(image.split == Split.QUERY for image in reading.images) == 1


# other arrangements and data sets


def test_market_in_a_folder_for_each_identity(tmp_path: Path, plant: Plant) -> None:
    flat = read_tree(plant(tmp_path / "flat", MARKET_TREE), MARKET)
    names = {"bounding_box_train": "train_all", "query": "query", "bounding_box_test": "gallery"}
    tree = []
    for path in MARKET_TREE[:-2]:
        folder, name = path.split("/")
        tree.append(f"{names[folder]}/{name.split('_')[0]}/{name}")
    root = plant(tmp_path / "Market/pytorch", [*tree, "train/0002/x.txt", "query/.cache/x.jpg"])
    assert find_root(tmp_path / "Market", MARKET) == root
    reading = read_tree(root, MARKET)
    assert {i.path.rpartition("/")[2]: i[2:] for i in reading.images} == {
        i.path.rpartition("/")[2]: i[2:] for i in flat.images
    }
    assert reading.notes[JUNK] == 2


def test_msmt17_in_boxes(tmp_path: Path, plant: Plant) -> None:
    tree = [
        "bounding_box_train/0000_000_01_0303morning_0015_0.jpg",
        "bounding_box_train/0001_c15_0003.jpg",
        "query/0000_c3_0001.jpg",
        "bounding_box_test/0000_c4_0002.jpg",
    ]
    assert [image[2:4] for image in read_tree(plant(tmp_path, tree), MSMT17).images] == [
        (0, 1), (1, 15), (0, 3), (0, 4),
    ]  # fmt: skip


def test_personx_joins_its_backgrounds(tmp_path: Path, plant: Plant) -> None:
    tree = [f"{n}/{folder}/000{n}_c{n}_1.jpg" for n in (4, 5) for folder in BOXES]
    images = read_tree(plant(tmp_path, tree), PERSONX).images
    assert [(i.path, i.identity, i.camera) for i in images if i.split == Split.QUERY] == [
        ("4/query/0004_c4_1.jpg", 4, 3),
        ("5/query/0005_c5_1.jpg", 5, 4),
    ]
    one = read_tree(tmp_path / "4", PERSONX).images
    assert [image.camera for image in one] == [3, 3, 3]


def test_cuhk03_asks_which_boxes_are_meant(tmp_path: Path, plant: Plant) -> None:
    for kind in ("labeled", "detected"):
        plant(tmp_path / kind, [f"{folder}/0001_c{1}_{1}.png" for folder in BOXES])
    with pytest.raises(DataError, match="several folders look like CUHK03-NP"):
        find_root(tmp_path, CUHK03)
    assert len(read_tree(tmp_path / "labeled", CUHK03).images) == 3


MARS_TRAIN = ["bbox_train/0001/0001C1T0002F003.jpg", "bbox_train/0003/0003C6T0010F1234.jpg"]
MARS_TEST = [
    "0002/0002C1T0001F001.jpg",
    "0002/0002C1T0001F002.jpg",
    "0002/0002C2T0002F001.jpg",
    "0000/0000C3T0001F001.jpg",
    "00-1/00-1C3T0001F001.jpg",
]


def plant_mars(root: Path, plant: Plant) -> Path:
    plant(root, [*MARS_TRAIN, *(f"bbox_test/{name}" for name in MARS_TEST)])
    (root / "info").mkdir()
    (root / "info/test_name.txt").write_text("".join(f"{name[5:]}\n" for name in MARS_TEST))
    tracks = [[1, 2, 2, 1], [3, 3, 2, 2], [4, 4, 0, 3], [5, 5, -1, 3]]
    savemat(root / "info/tracks_test_info.mat", {"track_test_info": np.array(tracks, float)})
    savemat(root / "info/query_IDX.mat", {"query_IDX": np.array([[1]])})
    return root


def test_mars_numbers_its_tracks_by_identity(tmp_path: Path, plant: Plant) -> None:
    assert read_tree(plant(tmp_path, MARS_TRAIN), MARS).images == [
        Image(Split.TRAIN, MARS_TRAIN[0], 1, 0, 10002),
        Image(Split.TRAIN, MARS_TRAIN[1], 3, 5, 30010),
    ]


def test_mars_has_its_query_tracks_in_tables(tmp_path: Path, plant: Plant) -> None:
    reading = read_tree(plant_mars(tmp_path, plant), MARS)
    names = [f"bbox_test/{name}" for name in MARS_TEST]
    assert sorted(reading.images[2:]) == [
        Image(Split.GALLERY, names[3], 0, 2, 1),
        Image(Split.GALLERY, names[2], 2, 1, 20002),
        Image(Split.QUERY, names[0], 2, 0, 20001),
        Image(Split.QUERY, names[1], 2, 0, 20001),
    ]
    assert reading.notes == {DISTRACTORS: 1, JUNK: 1}


def test_a_test_part_without_its_tables_is_counted(tmp_path: Path, plant: Plant) -> None:
    root = plant_mars(tmp_path, plant)
    (root / "info/query_IDX.mat").unlink()
    reading = read_tree(root, MARS)
    assert {image.split for image in reading.images} == {Split.TRAIN}
    reason = "folders left out, as `info/query_IDX.mat` is missing"
    assert reading.notes == {f"query {reason}": 3, f"gallery {reason}": 3}


@pytest.mark.parametrize(
    ("file", "name", "content"),
    [
        ("query_IDX", "query_IDX", [[5]]),
        ("query_IDX", "other", [[1]]),
        ("tracks_test_info", "track_test_info", [[1, 9, 2, 1]]),
        ("tracks_test_info", "track_test_info", [[1, 9, 2]]),
    ],
)
def test_tables_of_mars_that_do_not_fit_are_named(
    tmp_path: Path, plant: Plant, file: str, name: str, content: list[list[int]]
) -> None:
    root = plant_mars(tmp_path, plant)
    savemat(root / f"info/{file}.mat", {name: np.array(content)})
    with pytest.raises(DataError, match=f"{file}.mat") as caught:
        read_tree(root, MARS)
    assert "MARS-evaluation" in (caught.value.hint or "")
    (root / f"info/{file}.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DataError, match=f"{file}.mat"):
        read_tree(root, MARS)


VEHICLES = {
    "train_list.txt": "00001/000001.jpg\n00002/000007\n",
    "test_3000_query.txt": "00003/000002.jpg\n",
    "test_3000.txt": "00003/000003.jpg\n",
    "vehicle_info.txt": "id/image;Camera ID;Time;Model\n00001/000001;5;x\n00002/000007;174;x\n"
    "00003/000002;1;x\n00003/000003;2;x\n",
}


def plant_veriwild(root: Path, plant: Plant) -> Path:
    images = ("00001/000001", "00002/000007", "00003/000002", "00003/000003")
    plant(root, [f"images/{name}.jpg" for name in images])
    (root / "train_test_split").mkdir()
    for name, text in VEHICLES.items():
        (root / "train_test_split" / name).write_text(text)
    return root


def test_veriwild_has_its_cameras_in_a_file(tmp_path: Path, plant: Plant) -> None:
    root = plant_veriwild(tmp_path / "VERI-Wild", plant)
    assert find_root(tmp_path, VERIWILD) == root
    assert [(i.split.value, i.identity, i.camera) for i in read_tree(root, VERIWILD).images] == [
        ("train", 1, 5), ("train", 2, 174), ("query", 3, 1), ("gallery", 3, 2),
    ]  # fmt: skip
    (root / "train_test_split/vehicle_info.txt").write_text("00001/000001;5;x\n")
    with pytest.raises(DataError, match="3 image names that do not fit"):
        read_tree(root, VERIWILD)


@pytest.mark.parametrize("size", [5000, 10000])
def test_the_larger_test_parts_of_veriwild(tmp_path: Path, plant: Plant, size: int) -> None:
    root = plant_veriwild(tmp_path / "VERI-Wild", plant)
    layout = LAYOUTS[f"veriwild-{size}"]
    assert find_root(tmp_path, layout) is None
    (root / f"train_test_split/test_{size}_query.txt").write_text("00003/000003.jpg\n")
    (root / f"train_test_split/test_{size}.txt").write_text("00003/000002.jpg\n")
    assert [(i.split.value, i.camera) for i in read_tree(root, layout).images[2:]] == [
        ("query", 2), ("gallery", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"), [("vehicleid", 800), ("vehicleid-1600", 1600), ("vehicleid-2400", 2400)]
)
def test_vehicleid_draws_one_gallery_image_per_identity(
    tmp_path: Path, plant: Plant, name: str, size: int
) -> None:
    tested = {f"image/{image:07}.jpg": 4 + image % 3 for image in range(30, 60)}
    plant(tmp_path, ["image/0000001.jpg", "image/0000025.jpg", *tested])
    (tmp_path / "train_test_split").mkdir()
    (tmp_path / "train_test_split/train_list.txt").write_text("0000001 1\n0000025 12\n")
    lines = [f"{path[6:13]} {identity}" for path, identity in tested.items()]
    drawn = {
        min((p for p in tested if tested[p] == who), key=lambda p: sha256(p.encode()).digest())
        for who in (4, 5, 6)
    }
    for order in (lines, lines[::-1]):
        (tmp_path / f"train_test_split/test_list_{size}.txt").write_text("\n".join(order))
        assert sorted(read_tree(tmp_path, LAYOUTS[name]).images) == [
            *(Image(Split.GALLERY, path, tested[path]) for path in sorted(drawn)),
            *(Image(Split.QUERY, path, who) for path, who in tested.items() if path not in drawn),
            Image(Split.TRAIN, "image/0000001.jpg", 1),
            Image(Split.TRAIN, "image/0000025.jpg", 12),
        ]


# the root


@pytest.mark.parametrize("below", ["", "Market-1501-v15.09.15", "a/b", "a/b/c/d/e/f/Market-1501"])
def test_the_root_is_found_some_levels_deeper(tmp_path: Path, plant: Plant, below: str) -> None:
    plant(tmp_path / below, MARKET_TREE)
    plant(tmp_path, ["__MACOSX/Market-1501-v15.09.15/query/._x.jpg"])
    assert find_root(tmp_path, MARKET) == tmp_path / below


@pytest.mark.parametrize("below", ["query", "gt_bbox", "bounding_box_test/deep/er"])
def test_the_root_is_found_above(tmp_path: Path, plant: Plant, below: str) -> None:
    root = plant(tmp_path / "Market", [*MARKET_TREE, "bounding_box_test/deep/er/x.txt"])
    assert find_root(root / below, MARKET) is None
    assert find_root_above(root / below, MARKET) == root
    assert find_root_above(tmp_path, MARKET) is None


def test_the_search_for_a_root_ends(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, [f"{n}/x.txt" for n in range(9)])
    plant(tmp_path / "0", MARKET_TREE)
    monkeypatch.setattr("pplr_cli.ingest.trees.MOST_FOLDERS", 9)
    assert find_root(tmp_path, MARKET) is None
    monkeypatch.setattr("pplr_cli.ingest.trees.MOST_FOLDERS", 10)
    assert find_root(tmp_path, MARKET) == tmp_path / "0"


def test_a_packed_part_is_named(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["Market.tar.gz", "readme.txt"])
    error = explain_missing(tmp_path, MARKET)
    assert "it holds an archive, `Market.tar.gz`: unpack that first" in error.message


def test_a_usual_name_decides_between_two_trees(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "DukeMTMC-reID", DUKE_TREE)
    plant(tmp_path / "Market-1501-v15.09.15", MARKET_TREE)
    assert find_root(tmp_path, MARKET) == tmp_path / "Market-1501-v15.09.15"
    assert find_root(tmp_path, DUKE) == tmp_path / "DukeMTMC-reID"


def test_two_trees_without_usual_names_are_an_error(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "one", DUKE_TREE)
    plant(tmp_path / "two", MARKET_TREE)
    with pytest.raises(DataError, match="several folders") as caught:
        find_root(tmp_path, MARKET)
    assert "name the one that you mean: `pplr prepare market FOLDER`" in (caught.value.hint or "")


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "elsewhere/Market", MARKET_TREE)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/loop").symlink_to("..")
    assert find_root(tmp_path / "a", MARKET) is None
    (tmp_path / "a/b/data").symlink_to("../../elsewhere")
    assert find_root(tmp_path / "a", MARKET) == tmp_path / "a/b/data/Market"


def test_a_lost_list_is_named_as_such(tmp_path: Path, plant: Plant) -> None:
    plant_msmt17(tmp_path, plant, "train", "test")
    (tmp_path / "list_train.txt").unlink()
    assert find_root(tmp_path, MSMT17) is None
    error = explain_missing(tmp_path, MSMT17)
    assert "no MSMT17 tree, `list_train.txt` missing" in error.message
    assert "the lists come with the images of the release" in (error.hint or "")


def test_a_missing_split_folder_shows_the_expected_tree_and_the_nearest_match(
    tmp_path: Path, plant: Plant
) -> None:
    tree = [path.replace("query/", "querry/") for path in MARKET_TREE]
    plant(tmp_path / "x/Market", tree)
    assert find_root(tmp_path, MARKET) is None
    error = explain_missing(tmp_path, MARKET)
    assert f"`{tmp_path / 'x/Market'}`" in error.message
    assert "`query` missing" in error.message
    assert "`querry`" in error.message
    assert MARKET.expected_tree() in (error.hint or "")


# small rules


@given(st.text(min_size=1, max_size=20).filter(lambda s: "/" not in s and "\0" not in s))
def test_image_names_are_those_with_an_image_suffix_that_are_not_hidden(name: str) -> None:
    ends = any(name.lower().endswith(suffix) for suffix in (".jpg", ".jpeg", ".png"))
    assert is_image_name(name) == (ends and not name.startswith("."))
