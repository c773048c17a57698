"""Which query and gallery images can be evaluated."""

from pathlib import Path

import pytest

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.protocol import check_test_part


def manifest(
    query: list[tuple[int, int]],
    gallery: list[tuple[int, int]],
    train: tuple[int, ...] = (),
    layout: str = "folder",
    contents: dict[str, str] | None = None,
) -> Manifest:
    images = [
        *(Image(Split.TRAIN, f"t{n}", who, 0) for n, who in enumerate(train)),
        *(Image(Split.QUERY, f"q{n}", *labels) for n, labels in enumerate(query)),
        *(Image(Split.GALLERY, f"g{n}", *labels) for n, labels in enumerate(gallery)),
    ]
    names = Names({1: "leo", 2: "anna"}, {0: "hall"})
    return Manifest("shop", layout, Path("crops"), tuple(images), {}, contents or {}, names)


def test_a_sound_test_part_and_none_at_all() -> None:
    assert not [*check_test_part(manifest([(1, 0), (2, 1)], [(1, 1), (2, 0)], (3, 4)))]
    assert not [*check_test_part(manifest([], [], (1, 2)))]


def test_queries_and_identities_without_match_are_counted() -> None:
    found = manifest([(1, 0), (1, 1), (2, 0), (2, 1), (5, 1)], [(1, 1), (2, 0), (2, 1), (5, 1)])
    (concern,) = check_test_part(found)
    assert concern.message == (
        "queries without a gallery image of their identity by another camera: 2 of 5; "
        "identities without any match: 1 of 3 (`5`)"
    )
    (concern,) = check_test_part(manifest([(1, 0), (1, 1)], [(1, 1)]))
    assert concern.message.endswith("by another camera: 1 of 2")


def test_images_without_camera_match_in_a_public_data_set() -> None:
    assert not [*check_test_part(manifest([(1, UNKNOWN)], [(1, UNKNOWN)], layout="vehicleid"))]


@pytest.mark.parametrize("layout", ["folder", "market"])
def test_a_test_part_without_any_match_is_refused_in_own_data(layout: str) -> None:
    found = manifest([(1, 0), (2, 0)], [(1, 0), (3, 1)], layout=layout)
    if layout == "folder":
        with pytest.raises(DataError, match="no query has a gallery image of its identity by an"):
            [*check_test_part(found)]
    else:
        (concern,) = check_test_part(found)
        assert "2 of 2; identities without any match: 2 of 2 (`1`, `2`)" in concern.message.replace(
            "leo", "1"
        ).replace("anna", "2")


def test_one_camera_alone_is_named() -> None:
    with pytest.raises(DataError, match="all test images are from camera `hall`") as caught:
        [*check_test_part(manifest([(1, 0)], [(1, 0), (2, 0)]))]
    assert "its own camera" in (caught.value.hint or "")


def test_the_query_itself_is_no_match() -> None:
    same = {"q0": "aa", "g0": "aa", "g1": "bb"}
    with pytest.raises(DataError, match="no query has a gallery image"):
        [*check_test_part(manifest([(1, 0)], [(1, 1)], contents=same))]
    assert not [*check_test_part(manifest([(1, 0)], [(1, 1), (1, 1)], contents=same))]


def test_gallery_images_without_identity_are_weighed() -> None:
    (concern,) = check_test_part(manifest([(1, 0)], [(1, 1), (UNKNOWN, 0), (UNKNOWN, 1)]))
    assert concern.message.startswith("gallery images without identity: 2 of 3; they count as")


def test_identities_of_the_training_split_are_weighed_in_own_data() -> None:
    arguments = ([(1, 0), (2, 0)], [(1, 1), (2, 1), (7, 1)], (2, 7, 9, UNKNOWN))
    (concern,) = check_test_part(manifest(*arguments))
    assert concern.message == (
        "identities both in train and in query or gallery: 2 of 3 (`anna`, `7`)"
    )
    assert not [*check_test_part(manifest(*arguments, layout="msmt17"))]


@pytest.mark.parametrize(
    ("query", "gallery", "match"),
    [
        ([(1, 0)], [], "query images, but no gallery images"),
        ([], [(1, 0)], "gallery images, but no query images"),
        ([(1, UNKNOWN)], [(1, 0)], "query images without camera"),
        ([(1, 0)], [(1, UNKNOWN)], "gallery images without camera"),
        ([(UNKNOWN, 0)], [(1, 1)], r"query images without identity: `\S+`$"),
    ],
)
def test_labels_that_are_missing(
    query: list[tuple[int, int]], gallery: list[tuple[int, int]], match: str
) -> None:
    with pytest.raises(DataError, match=match) as caught:
        [*check_test_part(manifest(query, gallery))]
    assert "evaluation needs" in (caught.value.hint or "")
