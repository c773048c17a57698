import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image as Picture
from typer.testing import CliRunner

from pplr_cli.app import app
from pplr_cli.data.decode import Fault
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, PplrError
from pplr_cli.ingest.layouts import MARKET
from pplr_cli.ingest.library import prepare
from pplr_cli.ingest.prepare import Prepared
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.rules import SKIPPED
from pplr_cli.ingest.trees import DISTRACTORS, JUNK
from pplr_cli.ingest.walk import OTHER_FILES
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]
Pack = Callable[[Path, Path], Path]

TREE = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c3s1_000551_01.JPG",
    "bounding_box_train/Thumbs.db",
    "query/0001_c1s1_001051_00.jpeg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c2s1_001051_00.PNG",
]
EXPECTED = {
    Image(Split.TRAIN, "bounding_box_train/0002_c1s1_000451_03.jpg", 2, 0),
    Image(Split.TRAIN, "bounding_box_train/0002_c3s1_000551_01.JPG", 2, 2),
    Image(Split.QUERY, "query/0001_c1s1_001051_00.jpeg", 1, 0),
    Image(Split.GALLERY, "bounding_box_test/0000_c1s1_000151_01.jpg", 0, 0),
    Image(Split.GALLERY, "bounding_box_test/0001_c2s1_001051_00.PNG", 1, 1),
}


def pack_zip(path: Path, tree: Path) -> Path:
    return Path(shutil.make_archive(str(path), "zip", tree))


def pack_tar_gz(path: Path, tree: Path) -> Path:
    with tarfile.open(path.with_name(path.name + ".tar.gz"), "w:gz") as archive:
        archive.add(tree, ".")
    return path.with_name(path.name + ".tar.gz")


def run(source: Path | None, data_dir: Path, **options: object) -> Prepared:
    given = {"allow_partial": True, **options}
    sources = [source] if source else []
    return prepare(PrepareRequest("market", sources, data_dir, **given), Silent())  # type: ignore[arg-type]


def visible(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("pack", [pack_zip, pack_tar_gz])
@pytest.mark.parametrize("nested", ["", "Market-1501-v15.09.15", "download/Market-1501-v15.09.15"])
def test_archives_are_unpacked_beside_their_manifest(
    tmp_path: Path, plant: Plant, pack: Pack, nested: str
) -> None:
    plant(tmp_path / "tree" / nested, TREE)
    plant(tmp_path / "tree", ["__MACOSX/._x.jpg"])
    archive = pack(tmp_path / "download", tmp_path / "tree")
    prepared = run(archive, tmp_path / "data")
    assert prepared.new
    assert prepared.path == tmp_path / "data/market/manifest.json"
    assert prepared.manifest.root == tmp_path / "data/market/images" / nested
    assert set(prepared.manifest.images) == EXPECTED
    assert prepared.manifest.notes == {JUNK: 1, DISTRACTORS: 1, OTHER_FILES: 1}
    assert all((prepared.manifest.root / path).is_file() for path in prepared.manifest.paths)
    assert os.listdir(tmp_path / "data") == ["market"]  # noqa: PTH208


def test_a_folder_is_copied_and_left_as_it_is(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree", TREE)
    before = visible(source)
    prepared = run(source, tmp_path / "data")
    assert visible(source) == before
    assert set(visible(tmp_path / "data/market/images")) == {image.path for image in EXPECTED}
    shutil.rmtree(source)
    assert set(run(None, tmp_path / "data").manifest.images) == EXPECTED
    assert prepared.manifest.root == tmp_path / "data/market/images"


def test_a_linked_folder_stays_where_it_is(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree" / "deep", TREE)
    before = visible(tmp_path / "tree")
    prepared = run(tmp_path / "tree", tmp_path / "data", link=True)
    assert prepared.manifest.root == source
    assert set(visible(tmp_path / "data")) == {"market/manifest.json"}
    assert visible(tmp_path / "tree") == before


def test_a_folder_in_the_data_folder_is_used_where_it_is(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "Market-1501-v15.09.15", TREE)
    prepared = run(source, tmp_path)
    assert prepared.manifest.root == source
    assert set(visible(tmp_path / "market")) == {"manifest.json"}


def test_an_archive_in_the_data_folder_is_found(tmp_path: Path, plant: Plant) -> None:
    tree = plant(tmp_path / "tree", TREE)
    (tmp_path / "data").mkdir()
    pack_zip(tmp_path / "data/Market-1501-v15.09.15", tree)
    prepared = run(None, tmp_path / "data")
    assert prepared.manifest.root == tmp_path / "data/market/images"
    assert set(prepared.manifest.images) == EXPECTED


def test_a_folder_inside_the_tree_finds_it(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "Market", TREE)
    prepared = run(source / "query", tmp_path / "data", link=True)
    assert prepared.manifest.root == source
    assert set(prepared.manifest.images) == EXPECTED


MSMT17_PARTS = (
    {"train/0000/0000_000_01_0303morning_0015_0.jpg"},
    {"test/0000/0000_000_03_0303morning_0020_0.jpg", "test/0000/0000_001_04_0303noon_0031_0.jpg"},
)
MSMT17_LISTS = {
    "list_train.txt": "0000/0000_000_01_0303morning_0015_0.jpg 0\n",
    "list_val.txt": "",
    "list_query.txt": "0000/0000_000_03_0303morning_0020_0.jpg 0\n",
    "list_gallery.txt": "0000/0000_001_04_0303noon_0031_0.jpg 0\n",
}


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_msmt17_comes_in_parts(tmp_path: Path, plant: Plant, version: str) -> None:
    parts = []
    for number, paths in enumerate(MSMT17_PARTS):
        top = tmp_path / f"{number}" / f"MSMT17_{version}"
        names = [
            f"mask_{path.replace('/', '_v2/', 1)}" if version == "V2" else path for path in paths
        ]
        plant(top, names)
        for name, text in MSMT17_LISTS.items():
            (top / name).write_text(text)
        parts.append(pack_zip(tmp_path / f"part{number}", top.parent))
    request = PrepareRequest("msmt17", parts, tmp_path / "data", allow_partial=True)
    prepared = prepare(request, Silent())
    assert prepared.manifest.root == tmp_path / "data/msmt17/images" / f"MSMT17_{version}"
    assert [image.split for image in prepared.manifest.images] == list(Split)
    with pytest.raises(DataError, match="`test` missing"):
        prepare(
            PrepareRequest("msmt17", parts[:1], tmp_path / "other", allow_partial=True), Silent()
        )


def test_counts_that_differ_are_an_error_before_anything_is_copied(
    tmp_path: Path, plant: Plant
) -> None:
    source = plant(tmp_path / "tree", TREE)
    with pytest.raises(DataError, match="train: 2 images, published 12,936") as caught:
        run(source, tmp_path / "data", name="mine", allow_partial=False)
    assert visible(tmp_path / "data") == {}
    command = shlex.split((caught.value.hint or "").split("`")[1])
    done = CliRunner().invoke(app, command[1:])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data/mine/manifest.json").is_file()
    assert "train: 2 images, published 12,936" in run(source, tmp_path / "data").warnings


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_broken_image_stops_it_and_is_named_in_the_source(
    tmp_path: Path, plant: Plant, as_archive: bool
) -> None:
    source = plant(tmp_path / "tree", TREE)
    (source / "query/0001_c1s1_001051_00.jpeg").write_text("<html>")
    source = pack_zip(tmp_path / "x", source) if as_archive else source
    with pytest.raises(DataError, match="1 of 5 image files") as caught:
        run(source, tmp_path / "data")
    assert f"`{source}`" in caught.value.message
    assert "query/0001_c1s1_001051_00.jpeg" in caught.value.message
    assert "staging" not in caught.value.message
    listed = b"query/0001_c1s1_001051_00.jpeg\tneither a JPEG nor a PNG image\n"
    assert visible(tmp_path / "data") == {"market.bad.txt": listed}


@pytest.mark.parametrize("as_archive", [False, True])
def test_broken_images_are_left_out_where_that_is_wanted(
    tmp_path: Path, plant: Plant, as_archive: bool
) -> None:
    tree = plant(tmp_path / "tree", [*TREE, "query/0003_c1s1_001051_00.jpg"])
    (tree / "query/0003_c1s1_001051_00.jpg").write_bytes(b"")
    source = pack_zip(tmp_path / "x", tree) if as_archive else tree
    prepared = run(source, tmp_path / "data", skip_bad=True)
    assert set(prepared.manifest.images) == EXPECTED
    assert prepared.manifest.notes[SKIPPED] == 1
    assert prepared.skipped == (Fault("query/0003_c1s1_001051_00.jpg", "empty"),)
    assert (tmp_path / "data/market.bad.txt").is_file()
    again = run(source, tmp_path / "data", skip_bad=True)
    assert not again.new
    assert again.manifest == prepared.manifest


def test_counts_tell_what_was_left_out(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [replace(part, images=(), identities=(), cameras=()) for part in MARKET.parts]
    parts[0] = replace(parts[0], images=(2,))
    layouts = {"market": replace(MARKET, parts=tuple(parts))}
    monkeypatch.setattr("pplr_cli.ingest.counts.LAYOUTS", layouts)
    source = plant(tmp_path / "tree", TREE)
    (source / "bounding_box_train/0002_c1s1_000451_03.jpg").write_bytes(b"")
    prepared = run(source, tmp_path / "data", skip_bad=True, allow_partial=False)
    assert prepared.counts[0].differences() == ["train: 1 images, published 2"]
    again = run(source, tmp_path / "data", skip_bad=True, allow_partial=False)
    assert again.warnings == ("train: 1 images, published 2",)


def test_twice_is_as_good_as_once(tmp_path: Path, plant: Plant) -> None:
    archive = pack_zip(tmp_path / "x", plant(tmp_path / "tree", TREE))
    first = run(archive, tmp_path / "data")
    before = visible(tmp_path / "data")
    for source in (None, archive, tmp_path / "tree"):
        again = run(source, tmp_path / "data")
        assert not again.new
        assert again.manifest == first.manifest
        assert visible(tmp_path / "data") == before


def test_a_prepared_data_set_that_was_damaged_is_found_out(tmp_path: Path, plant: Plant) -> None:
    run(plant(tmp_path / "tree", TREE), tmp_path / "data")
    (tmp_path / "data/market/images/query/0001_c1s1_001051_00.jpeg").unlink()
    with pytest.raises(DataError, match=r"0001_c1s1_001051_00\.jpeg: no such file"):
        run(None, tmp_path / "data")
    plant(tmp_path / "data/market/images/query", ["0001_c1s1_001051_00.jpeg"])
    with pytest.raises(DataError, match=r"0001_c1s1_001051_00\.jpeg: changed since"):
        run(None, tmp_path / "data")


def test_another_data_set_under_the_same_name_is_refused(tmp_path: Path, plant: Plant) -> None:
    run(plant(tmp_path / "tree", TREE), tmp_path / "data")
    before = visible(tmp_path / "data")
    other = plant(tmp_path / "other", [*TREE, "query/0003_c1s1_001051_00.jpg"])
    for options in ({}, {"link": True}):
        with pytest.raises(DataError, match="is there already, with other images") as caught:
            run(other, tmp_path / "data", **options)
        assert "`--name`" in (caught.value.hint or "")
        assert f"move `{tmp_path / 'data/market'}` away" in (caught.value.hint or "")
    with pytest.raises(DataError, match="is there already, with a copy of these images"):
        run(tmp_path / "tree", tmp_path / "data", link=True)
    shutil.copy(tmp_path / "tree" / TREE[0], tmp_path / "tree" / TREE[1])
    with pytest.raises(DataError, match="there already, with images of the same names but other"):
        run(tmp_path / "tree", tmp_path / "data")
    assert visible(tmp_path / "data") == before
    assert len(run(other, tmp_path / "data", name="other").manifest.images) == 6


def test_what_a_user_put_under_the_name_is_never_touched(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree", TREE)
    plant(tmp_path / "data/market", ["notes.txt"])
    with pytest.raises(DataError, match="holds other files"):
        run(source, tmp_path / "data")
    assert set(visible(tmp_path / "data")) == {"market/notes.txt"}


def test_the_data_folder_inside_the_source_is_no_part_of_it(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["cam1/a.jpg", "data/veri/images/b.jpg"])
    for again in (False, True):
        request = PrepareRequest(
            "folder", [tmp_path], tmp_path / "data", "shop", pattern=r"cam(?P<camera>\d)"
        )
        prepared = prepare(request, Silent())
        assert prepared.manifest.paths == ["cam1/a.jpg"]
        assert prepared.new != again


def test_what_was_left_out_is_named(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "crops", ["a/b.jpg"])
    (source / "a/loop").symlink_to("..")
    (source / "gone.jpg").symlink_to("nowhere.jpg")
    prepared = prepare(PrepareRequest("folder", [source], tmp_path / "data"), Silent())
    assert prepared.warnings[0].endswith("left out: 2\n  a/loop\n  gone.jpg")


def test_the_picture_in_the_own_folder_is_no_crop(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "data/shop", ["1_2.jpg", "people.png"])
    request = PrepareRequest("folder", [tmp_path / "data/shop"], tmp_path / "data", "shop")
    assert prepare(request, Silent()).manifest.paths == ["1_2.jpg"]


def test_the_name_of_another_layout_is_refused(tmp_path: Path, plant: Plant) -> None:
    run(plant(tmp_path / "tree", TREE), tmp_path / "data")
    with pytest.raises(DataError, match="holds a `market` data set"):
        prepare(PrepareRequest("duke", (), tmp_path / "data", name="market"), Silent())


def crops(folder: Path, pattern: str, *, link: bool) -> Manifest:
    given = ([folder / "crops"], folder / "data")
    return prepare(PrepareRequest("folder", *given, link=link, pattern=pattern), Silent()).manifest


def test_a_linked_folder_takes_a_new_pattern(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "crops", ["1_2.jpg", "3_4.jpg"])
    for pattern, expected in ((r"(?P<identity>\d+)_", [1, 3]), (r"_(?P<identity>\d+)", [2, 4])):
        manifest = crops(tmp_path, pattern, link=True)
        assert manifest.name == "folder"
        assert manifest.split(Split.TRAIN).identities.tolist() == expected


def test_a_copied_folder_with_a_new_pattern_is_another_data_set(
    tmp_path: Path, plant: Plant
) -> None:
    plant(tmp_path / "crops", ["1_2.jpg", "3_4.jpg"])
    crops(tmp_path, r"(?P<identity>\d+)_", link=False)
    before = visible(tmp_path / "data")
    with pytest.raises(
        DataError, match="already, with other identities, cameras, splits or tracks"
    ):
        crops(tmp_path, r"_(?P<identity>\d+)", link=False)
    assert visible(tmp_path / "data") == before


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_full_disk_is_seen_before_and_named_by_the_final_folder(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch, as_archive: bool
) -> None:
    source = plant(tmp_path / "tree", TREE)
    source = pack_zip(tmp_path / "x", source) if as_archive else source
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(PplrError, match=r"needs .*[Bs], 10 bytes are free") as caught:
        run(source, tmp_path / "data")
    assert caught.value.message.startswith(f"`{tmp_path / 'data/market'}`: ")
    assert f"`{source}`" in caught.value.message
    assert "--data-dir" in (caught.value.hint or "")
    assert visible(tmp_path / "data") == {}


def test_a_table_that_does_not_fit_an_archive_names_the_archive(
    tmp_path: Path, plant: Plant
) -> None:
    archive = pack_zip(tmp_path / "x", plant(tmp_path / "crops", ["cam1/a.jpg"]))
    table = tmp_path / "labels.csv"
    table.write_text("path,camera\ncam1/b.jpg,1\n")
    request = PrepareRequest("folder", [archive], tmp_path / "data", table=table)
    with pytest.raises(DataError, match=r"line 2: no image `cam1/b\.jpg`") as caught:
        prepare(request, Silent())
    assert f"`{archive}`" in caught.value.message
    assert "staging" not in caught.value.message + (caught.value.hint or "")
    table.write_text("path,camera\ncam1/a.jpg,1\n")
    assert prepare(request, Silent()).manifest.images == (Image(Split.TRAIN, "cam1/a.jpg", -1, 1),)


FULL = """
mkdir -p "$0" && mount -t tmpfs -o size=1m none "$0" || exit 9
{command}
code=$?; ls -A "$0"; exit $code
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="needs `unshare`",
)
@pytest.mark.parametrize("pack", [pack_zip, pack_tar_gz, None])
def test_a_disk_that_is_really_too_small(tmp_path: Path, pack: Pack | None) -> None:
    tree, data = tmp_path / "crops", tmp_path / "data"
    tree.mkdir()
    for number in range(3):
        Picture.effect_noise((800, 800), 90 + number).save(tree / f"{number}.png", compress_level=0)
    source = pack(tmp_path / "x", tree) if pack else tree
    words = ["pplr_cli", "prepare", "folder", str(source), "--data-dir", str(data)]
    command = shlex.join([sys.executable, "-m", *words])
    shell = ["unshare", "-rm", "sh", "-c", FULL.format(command=command), str(data)]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.search(r"needs 1\.\d MB, 1\.0 MB are free", done.stderr)
    assert f"`{source}`" in done.stderr
    assert done.stdout == ""


def test_a_tree_that_lacks_a_split_is_named_by_the_archive(tmp_path: Path, plant: Plant) -> None:
    tree = plant(tmp_path / "tree/Market", [p for p in TREE if not p.startswith("query")])
    archive = pack_zip(tmp_path / "x", tree.parent)
    with pytest.raises(DataError, match="`query` missing") as caught:
        run(archive, tmp_path / "data")
    assert f"`{archive}/Market`" in caught.value.message
    assert visible(tmp_path / "data") == {}


KILLED = """
import os, pathlib, shutil, signal, sys
from pathlib import Path
from pplr_cli.ingest import archive, library
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.progress import Silent
owner, name, count, source, data_dir = sys.argv[1:]
owner, left = {"archive": archive, "shutil": shutil, "Path": Path}[owner], [int(count)]
real = getattr(owner, name)
def dying(*given, **options):
    if name != "rename" or given[0].suffix == ".staging":
        left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **options)
setattr(owner, name, dying)
request = PrepareRequest("market", [Path(source)], Path(data_dir), allow_partial=True)
library.prepare(request, Silent())
"""


@pytest.mark.parametrize(
    ("owner", "name", "count", "left", "as_archive"),
    [
        pytest.param("archive", "_write", 1, 0, True, id="before the first member"),
        pytest.param("archive", "_write", 4, 3, True, id="before the fourth member"),
        pytest.param("Path", "rename", 1, 8, True, id="before the unpacked folder gets its name"),
        pytest.param("shutil", "copyfile", 3, 3, False, id="before the third copy"),
    ],
)
def test_a_killed_preparation_leaves_nothing_and_the_next_succeeds(
    tmp_path: Path, plant: Plant, owner: str, name: str, count: int, left: int, as_archive: bool
) -> None:
    tree = plant(tmp_path / "tree", TREE)
    source = pack_zip(tmp_path / "x", tree) if as_archive else tree
    command = [sys.executable, "-c", KILLED, owner, name, str(count), source, tmp_path / "data"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(visible(tmp_path / "data/.market.staging")) == left
    assert not (tmp_path / "data/market").exists()
    assert set(run(source, tmp_path / "data").manifest.images) == EXPECTED
    assert os.listdir(tmp_path / "data") == ["market"]  # noqa: PTH208


def test_manifests_are_loaded_as_they_were_returned(tmp_path: Path, plant: Plant) -> None:
    prepared = run(plant(tmp_path / "tree", TREE), tmp_path / "data")
    assert Manifest.load(prepared.path) == prepared.manifest
