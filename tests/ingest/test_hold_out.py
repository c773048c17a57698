"""A test part made from identities."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError
from pplr_cli.ingest.hold_out import hold_out


def images(*labels: tuple[int, int]) -> list[Image]:
    return [Image(Split.TRAIN, f"{n:03}.jpg", *label) for n, label in enumerate(labels)]


@given(st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 3)), min_size=1, max_size=40))
def test_every_query_has_a_match_and_no_identity_is_in_two_parts(
    labels: list[tuple[int, int]],
) -> None:
    given = images(*labels)
    eligible = {
        identity
        for identity in {label[0] for label in labels} - {UNKNOWN}
        if len(cameras := {camera for one, camera in labels if one == identity}) > 1
        and UNKNOWN not in cameras
    }
    if not eligible:
        with pytest.raises(DataError, match="no identity for query and gallery"):
            hold_out(given, Names(), 1.0, "crops")
        return
    made = hold_out(given, Names(), 1.0, "crops")
    assert [image._replace(split=Split.TRAIN) for image in made] == given
    parts = defaultdict(set)
    for image in made:
        parts[image.split].add(image.identity)
    assert parts[Split.QUERY] == parts[Split.GALLERY] == eligible
    assert not parts[Split.TRAIN] & eligible
    for query in (image for image in made if image.split == Split.QUERY):
        assert any(
            other.identity == query.identity and other.camera != query.camera
            for other in made
            if other.split == Split.GALLERY
        )


def test_one_query_a_camera() -> None:
    made = hold_out(images((1, 0), (1, 0), (1, 1), (1, 1), (1, 2)), Names(), 1.0, "crops")
    assert [image.split.value for image in made] == [
        "query", "gallery", "query", "gallery", "gallery"
    ]  # fmt: skip
    single = hold_out(images((1, 0), (1, 1)), Names(), 1.0, "crops")
    assert [image.split.value for image in single] == ["query", "gallery"]


def test_the_share_holds_and_an_identity_stays_in_its_part() -> None:
    few = images(*((identity, camera) for identity in range(500) for camera in (0, 1)))
    more = [*few, *images(*((identity, 2) for identity in range(800)))]
    before = {each.identity for each in hold_out(few, Names(), 0.3, "") if each.split != "train"}
    after = {each.identity for each in hold_out(more, Names(), 0.3, "") if each.split != "train"}
    assert 0.24 < len(before) / 500 < 0.36
    assert {identity for identity in after if identity < 500} == before
    named = Names(identities={number: f"person {number}" for number in range(500)})
    other = {each.identity for each in hold_out(few, named, 0.3, "") if each.split != "train"}
    assert other != before  # the name decides, not the number


def test_a_part_that_is_there_already_is_kept() -> None:
    given = [*images((1, 0), (1, 1)), Image(Split.QUERY, "q.jpg", 2, 0)]
    with pytest.raises(DataError, match="has query or gallery images"):
        hold_out(given, Names(), 0.5, "crops")
