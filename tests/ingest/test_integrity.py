import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from pplr_cli.data.decode import Fault
from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.ingest.integrity import (
    between_splits,
    contradictions,
    differences,
    examine,
    find_collisions,
    find_copies,
    write_faults,
)
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]
PATHS = ("a.jpg", "b/c.png", "d.jpg")


@pytest.fixture
def manifest(tmp_path: Path, plant: Plant) -> Manifest:
    """Three images, checked and recorded."""
    plant(tmp_path, PATHS)
    images = tuple(Image(Split.TRAIN, path) for path in PATHS)
    unchecked = Manifest("x", "folder", tmp_path, images, {})
    contents = examine(unchecked, Silent()).contents
    return Manifest("x", "folder", tmp_path, images, {}, contents)


def test_every_file_gets_the_digest_that_sha256sum_gives(manifest: Manifest) -> None:
    assert dict(manifest.contents) == {
        path: hashlib.sha256((manifest.root / path).read_bytes()).hexdigest() for path in PATHS
    }


def test_a_whole_data_set_has_no_faults_and_no_differences(manifest: Manifest) -> None:
    examined = examine(manifest, Silent())
    assert examined.faults == examined.poor == []
    assert differences(manifest, examined) == []


def test_gone_changed_and_broken_files_are_told_apart(manifest: Manifest) -> None:
    (manifest.root / "a.jpg").unlink()
    Picture.new("RGB", (20, 20)).save(manifest.root / "b/c.png")
    (manifest.root / "d.jpg").write_bytes((manifest.root / "d.jpg").read_bytes()[:200])
    assert [str(fault) for fault in differences(manifest, examine(manifest, Silent()))] == [
        "a.jpg: no such file",
        "b/c.png: changed since the data set was prepared",
        "d.jpg: changed since the data set was prepared (Truncated File Read)",
    ]


def test_an_edit_that_keeps_size_and_time_is_noticed(manifest: Manifest) -> None:
    file = manifest.root / "b/c.png"
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(differences(manifest, examine(manifest, Silent()))) == 1


def test_small_images_are_counted(manifest: Manifest) -> None:
    Picture.new("RGB", (40, 15)).save(manifest.root / "b/c.png")
    assert examine(manifest, Silent()).poor == ["b/c.png"]


def test_the_list_of_faults_holds_every_name_and_goes_when_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.bad.txt"
    write_faults(path, [Fault(f"{n}.jpg", "empty") for n in range(100)])
    assert path.read_text().splitlines() == [f"{n}.jpg\tempty" for n in range(100)]
    write_faults(path, [Fault(os.fsdecode(b"\xff.jpg"), "empty")])
    assert path.read_bytes() == b"\xff.jpg\tempty\n"
    write_faults(path, [])
    assert not path.exists()
    write_faults(path, [])


records = st.lists(
    st.tuples(st.sampled_from(Split), st.sampled_from([UNKNOWN, 1, 2]), st.sampled_from("abc")),
    max_size=8,
)


@given(records)
def test_copies_are_what_comparing_all_pairs_finds(found: list[tuple[Split, int, str]]) -> None:
    images = [Image(split, f"{n}.jpg", who) for n, (split, who, _) in enumerate(found)]
    contents = {f"{n}.jpg": content for n, (_, _, content) in enumerate(found)}
    copies = find_copies(Manifest("x", "folder", Path(), tuple(images), {}, contents))

    alike = [(a, b) for a in images for b in images if contents[a.path] == contents[b.path]]
    assert sum(len(group) - 1 for group in copies) == len(images) - len(set(contents.values()))
    leaked = {
        contents[a.path] for a, b in alike if a.split == Split.TRAIN and b.split != Split.TRAIN
    }
    pairs = between_splits(copies, [Split.TRAIN], [Split.QUERY, Split.GALLERY])
    assert {contents[a.path] for a, _ in pairs} == leaked
    for a, b in pairs:
        assert a.split == Split.TRAIN != b.split
    torn = {contents[a.path] for a, b in alike if UNKNOWN < a.identity < b.identity}
    assert {contents[a.path] for a, _ in contradictions(copies)} == torn


def test_the_same_path_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    images = (Image(Split.TRAIN, "a.jpg", 1), Image(Split.QUERY, "a.jpg", 1))
    copies = find_copies(Manifest("x", "folder", tmp_path, images, {}, {"a.jpg": "0f"}))
    assert between_splits(copies, [Split.TRAIN], [Split.QUERY]) == [images]


def test_images_without_a_digest_are_passed_over(tmp_path: Path) -> None:
    images = (Image(Split.TRAIN, "a.jpg"), Image(Split.QUERY, "b.jpg"))
    assert find_copies(Manifest("x", "folder", tmp_path, images, {})) == []


def test_names_that_some_disks_take_for_the_same() -> None:
    paths = ["a/x.jpg", "A/x.JPG", "b.jpg", "e\u0301.jpg", "\xe9.jpg", "b.jpg", "\udcff.jpg"]
    assert find_collisions(paths) == [("a/x.jpg", "A/x.JPG"), ("e\u0301.jpg", "\xe9.jpg")]
