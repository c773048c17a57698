import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError

IMAGES = (
    Image(Split.QUERY, "query/b.jpg", 3, 1),
    Image(Split.TRAIN, "train/z é.jpg", 7, 0),
    Image(Split.TRAIN, "train/a.jpg", 5, 2),
    Image(Split.GALLERY, "gallery/c.jpg", 3, 0),
)


def manifest(root: Path, images: tuple[Image, ...] = IMAGES) -> Manifest:
    contents = {image.path: "0f" * 32 for image in images if image.split == Split.QUERY}
    return Manifest("market", "market", root, images, {"junk": 2}, contents)


def test_images_are_sorted_by_split_and_path(tmp_path: Path) -> None:
    for images in (IMAGES, IMAGES[::-1]):
        assert manifest(tmp_path, images).images == (IMAGES[2], IMAGES[1], IMAGES[0], IMAGES[3])


def test_splits_come_in_sorted_path_order(tmp_path: Path) -> None:
    train = manifest(tmp_path).split(Split.TRAIN)
    assert train.paths == ("train/a.jpg", "train/z é.jpg")
    assert train.files == [tmp_path / "train/a.jpg", tmp_path / "train/z é.jpg"]
    np.testing.assert_array_equal(train.identities, [5, 7])
    np.testing.assert_array_equal(train.cameras, [2, 0])
    assert train.contents == ("", "")
    assert manifest(tmp_path).split(Split.QUERY).contents == ("0f" * 32,)
    assert train.identities.dtype == train.cameras.dtype == np.int64
    assert len(train) == 2


@pytest.mark.parametrize(("layout", "upright"), [("folder", True), ("market", False)])
def test_only_own_crops_are_turned_upright(tmp_path: Path, layout: str, upright: bool) -> None:
    own = replace(manifest(tmp_path), layout=layout)
    assert own.upright == own.split(Split.TRAIN).upright == upright


def test_old_and_new_formats_say_the_way_out(tmp_path: Path) -> None:
    path = manifest(tmp_path).save(tmp_path)
    text = path.read_text()
    for version, hint in ((1, "pplr prepare"), (5, "upgrade pplr")):
        path.write_text(text.replace('"format": 3', f'"format": {version}'))
        with pytest.raises(DataError, match=f"format {version}, this pplr reads 4") as caught:
            Manifest.load(path)
        assert hint in (caught.value.hint or "")


def test_tracks_are_kept_and_change_nothing_where_there_are_none(tmp_path: Path) -> None:
    plain = manifest(tmp_path)
    track = IMAGES[1]._replace(track=12, time=2.5)
    tracked = manifest(tmp_path, (IMAGES[0], track, *IMAGES[2:]))
    tracked = replace(tracked, names=Names(tracks={12: "hall/7"}))
    assert json.loads(plain.save(tmp_path / "plain").read_text())["format"] == 3
    loaded = Manifest.load(tracked.save(tmp_path / "tracked"))
    assert json.loads((tmp_path / "tracked" / FILE_NAME).read_text())["format"] == 4
    assert (loaded.images, loaded.names.tracks) == (tracked.images, {12: "hall/7"})
    assert loaded.digest == tracked.digest != plain.digest
    train, query = loaded.split(Split.TRAIN), loaded.split(Split.QUERY)
    assert train.tracks is not None
    assert train.times is not None
    np.testing.assert_array_equal(train.tracks, [UNKNOWN, 12])
    np.testing.assert_array_equal(train.times, [UNKNOWN, 2.5])
    assert query.tracks is query.times is plain.split(Split.TRAIN).tracks is None


@pytest.mark.parametrize("time", ["x", None, float("nan"), -2, True])
def test_times_that_are_none_are_refused(tmp_path: Path, time: object) -> None:
    path = manifest(tmp_path, (IMAGES[0]._replace(track=1, time=9),)).save(tmp_path)
    path.write_text(path.read_text().replace(", 1, 9]", f", 1, {json.dumps(time)}]"))
    with pytest.raises(DataError, match="not a data set manifest"):
        Manifest.load(path)


LISTING = """
import sys
from pathlib import Path
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
folder, act = Path(sys.argv[1]), sys.argv[2]
if act == "save":
    paths = sorted(p.name for p in folder.iterdir())
    Manifest("x", "folder", folder, tuple(Image(Split.TRAIN, p) for p in paths), {}).save(folder)
else:
    loaded = Manifest.load(folder / "manifest.json")
    assert len(loaded.images) == 3
    assert all(file.is_file() for file in loaded.split(Split.TRAIN).files)
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"PYTHONUTF8": "1"}


@pytest.mark.parametrize(("saver", "reader"), [(ASCII, UTF8), (UTF8, ASCII)])
def test_manifests_are_the_same_in_every_locale(
    tmp_path: Path, saver: dict[str, str], reader: dict[str, str]
) -> None:
    for name in ("é.jpg".encode(), b"\xff.jpg", b"a.jpg"):
        (tmp_path / os.fsdecode(name)).touch()
    for act, locale in (("save", saver), ("load", reader)):
        command = [sys.executable, "-c", LISTING, str(tmp_path), act]
        subprocess.run(command, env={**os.environ, **locale}, check=True)


def test_evaluation_needs_query_and_gallery_with_labels(tmp_path: Path) -> None:
    assert manifest(tmp_path).can_evaluate
    assert not manifest(tmp_path, IMAGES[1:]).can_evaluate
    for bare in (IMAGES[0]._replace(camera=UNKNOWN), IMAGES[0]._replace(identity=UNKNOWN)):
        assert not manifest(tmp_path, (bare, *IMAGES[1:])).can_evaluate
    for bare in (IMAGES[3]._replace(camera=UNKNOWN), IMAGES[3]._replace(identity=UNKNOWN)):
        assert not manifest(tmp_path, (*IMAGES[:3], bare)).can_evaluate
    distractor = Image(Split.GALLERY, "gallery/d.jpg")
    assert manifest(tmp_path, (*IMAGES, distractor)).can_evaluate


names = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda name: not {0, 47} & set(name) and name != b"..")
    .map(os.fsdecode)
)
times = st.sampled_from([UNKNOWN, 0.1, 12]) | st.floats(0, 1e12)
images = st.builds(
    Image,
    st.sampled_from(Split),
    names,
    st.integers(-1, 10**12),
    st.integers(-1, 99),
    st.just(UNKNOWN) | st.integers(0, 10**12),
    st.just(UNKNOWN) | times,
)


@given(st.lists(images, max_size=8, unique_by=lambda image: image.path))
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, found: list[Image]
) -> None:
    folder = tmp_path_factory.mktemp("set")
    saved = manifest(folder / "images", tuple(found))
    loaded = Manifest.load(saved.save(folder))
    assert loaded.digest == saved.digest
    assert loaded.images == saved.images
    assert set(loaded.images) == set(found)
    assert loaded.contents == saved.contents
    assert (loaded.name, loaded.layout, loaded.notes) == ("market", "market", {"junk": 2})
    assert loaded.root == (folder / "images").resolve()


def test_the_users_names_are_kept(tmp_path: Path) -> None:
    names = Names({7: "leo", 5: "Zoé \udcff"}, {0: "hall"})
    saved = replace(manifest(tmp_path), layout="folder", names=names)
    loaded = Manifest.load(saved.save(tmp_path))
    assert loaded.names == loaded.split(Split.TRAIN).names == names
    assert loaded.digest == replace(saved, names=Names()).digest


@pytest.mark.parametrize(("layout", "camera"), [("market", "1"), ("msmt17", "0"), ("folder", "0")])
def test_cameras_have_the_numbers_of_the_public_data_sets(
    tmp_path: Path, layout: str, camera: str
) -> None:
    path = Manifest("x", layout, tmp_path, IMAGES, {}).save(tmp_path)
    assert Manifest.load(path).names.camera(0) == camera


def test_a_manifest_of_format_2_is_read(tmp_path: Path) -> None:
    new = manifest(tmp_path)
    path = new.save(tmp_path)
    document = json.loads(path.read_text())
    del document["names"]
    path.write_text(json.dumps({**document, "format": 2}))
    assert Manifest.load(path) == new


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = os.fsdecode(b"train/\xff.jpg")
    saved = manifest(tmp_path, (Image(Split.TRAIN, path),))
    assert Manifest.load(saved.save(tmp_path)).paths == [path]


def test_a_data_set_moves_with_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "a/set/images").mkdir(parents=True)
    manifest(tmp_path / "a/set/images").save(tmp_path / "a/set")
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert Manifest.load(tmp_path / "b/set" / FILE_NAME).root == tmp_path / "b/set/images"


def test_the_digest_depends_on_every_image_and_on_no_order(tmp_path: Path) -> None:
    digest = manifest(tmp_path).digest
    assert manifest(tmp_path / "elsewhere", IMAGES[::-1]).digest == digest
    for change in (
        {"split": Split.GALLERY},
        {"path": "query/x.jpg"},
        {"identity": 4},
        {"camera": 2},
    ):
        changed = IMAGES[0]._replace(**change)  # type: ignore[arg-type]
        assert manifest(tmp_path, (changed, *IMAGES[1:])).digest != digest
    edited = replace(manifest(tmp_path), contents={IMAGES[0].path: "1f" * 32})
    assert edited.digest != digest


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", 99, "format 99"),
        ("format", 1, "format 1"),
        ("digest", "0" * 64, "do not match"),
        ("images", [["train", "a.jpg", 1, 1, "0f"]], "do not match"),
        ("images", [["train", "a.jpg", 1, 1]], "not a data set manifest"),
        ("images", [["val", "a.jpg", 1, 1, ""]], "not a data set manifest"),
        ("images", [["train", "a.jpg", "x", 1, ""]], "not a data set manifest"),
        ("images", 5, "not a data set manifest"),
        ("root", 5, "not a data set manifest"),
        ("root", "a\0b", "not a data set manifest"),
        ("name", [], "not a data set manifest"),
        ("layout", {}, "not a data set manifest"),
        ("notes", None, "not a data set manifest"),
        ("notes", {"junk": "x"}, "not a data set manifest"),
        ("names", {"identity": {"x": "leo"}, "camera": {}}, "not a data set manifest"),
        ("names", 5, "not a data set manifest"),
        ("images", [["train", "../a.jpg", 1, 1, ""]], "not a data set manifest"),
        ("images", [["train", "/etc/a.jpg", 1, 1, ""]], "not a data set manifest"),
        ("images", [["train", 7, 1, 1, ""]], "not a data set manifest"),
        ("images", [["train", "a.jpg", 10**30, 1, ""]], "not a data set manifest"),
        ("images", [["train", "a.jpg", 1.5, 1, ""]], "not a data set manifest"),
        ("images", [["train", "a.jpg", 1, True, ""]], "not a data set manifest"),
        ("images", [["train", "a.jpg", 1, -2, ""]], "not a data set manifest"),
    ],
)
def test_damaged_and_altered_manifests(tmp_path: Path, key: str, value: object, match: str) -> None:
    path = manifest(tmp_path).save(tmp_path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, key: value}))
    with pytest.raises(DataError, match=match) as caught:
        Manifest.load(path)
    assert f"`{path}`" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "images"', "\udcff", "[" * 100_000]
)
def test_files_that_are_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match="not a data set manifest"):
        Manifest.load(path)
