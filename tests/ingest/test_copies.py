from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.data.manifest import UNKNOWN, Image, Manifest, Split
from pplr_cli.ingest.copies import find_collisions, find_copies

records = st.lists(
    st.tuples(st.sampled_from(Split), st.sampled_from([UNKNOWN, 1, 2]), st.sampled_from("abc")),
    max_size=8,
)


@given(records)
@settings(deadline=None)
def test_copies_are_what_comparing_all_pairs_finds(found: list[tuple[Split, int, str]]) -> None:
    images = [Image(split, f"{n}.jpg", who) for n, (split, who, _) in enumerate(found)]
    contents = {f"{n}.jpg": content for n, (_, _, content) in enumerate(found)}
    copies = find_copies(Manifest("x", "folder", Path(), tuple(images), {}, contents))

    alike = [(a, b) for a in images for b in images if contents[a.path] == contents[b.path]]
    assert copies.further == len(images) - len(set(contents.values()))
    leaked = {
        contents[a.path] for a, b in alike if a.split == Split.TRAIN and b.split != Split.TRAIN
    }
    assert {contents[a.path] for a, _ in copies.leaked} == leaked
    for a, b in copies.leaked:
        assert a.split == Split.TRAIN != b.split
    torn = {contents[a.path] for a, b in alike if UNKNOWN < a.identity < b.identity}
    assert {contents[a.path] for a, _ in copies.contradicting} == torn


def test_the_same_path_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    images = (Image(Split.TRAIN, "a.jpg", 1), Image(Split.QUERY, "a.jpg", 1))
    copies = find_copies(Manifest("x", "folder", tmp_path, images, {}, {"a.jpg": "0f"}))
    assert copies.leaked == (images,)


def test_images_without_a_digest_are_passed_over(tmp_path: Path) -> None:
    images = (Image(Split.TRAIN, "a.jpg"), Image(Split.QUERY, "b.jpg"))
    assert find_copies(Manifest("x", "folder", tmp_path, images, {})).further == 0


def test_names_that_some_disks_take_for_the_same() -> None:
    paths = ["a/x.jpg", "A/x.JPG", "b.jpg", "e\u0301.jpg", "\xe9.jpg", "b.jpg", "\udcff.jpg"]
    assert find_collisions(paths) == [("a/x.jpg", "A/x.JPG"), ("e\u0301.jpg", "\xe9.jpg")]
