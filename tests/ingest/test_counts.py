from pathlib import Path

from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.ingest.counts import Count, count_splits


def manifest(layout: str, *images: Image) -> Manifest:
    return Manifest("x", layout, Path(), images, {})


def test_counts_stand_beside_the_published_ones() -> None:
    train, query, gallery = count_splits(
        manifest("market", Image(Split.TRAIN, "a", 2, 0), Image(Split.TRAIN, "b", 2, 1))
    )
    assert (train.images, train.identities) == (Count(2, (12936,)), Count(1, (751,)))
    assert train.cameras == Count(2, (6,))
    assert train.differences()[0] == "train: 2 images, published 12,936"
    assert query.differences() == [
        "query: 0 images, published 3,368",
        "query: 0 identities, published 750",
    ]
    assert gallery.identities.published_text == "-"


def test_either_of_two_releases_is_fine() -> None:
    count = Count(37746, (37778, 37746))
    assert not count.differs
    assert count.published_text == "37,778 or 37,746"
    assert Count(37745, (37778, 37746)).differs
    assert not Count(5, ()).differs


def test_unknown_identities_and_empty_splits_do_not_count() -> None:
    (train,) = count_splits(manifest("folder", Image(Split.TRAIN, "a", UNKNOWN, UNKNOWN)))
    assert (train.images.value, train.identities.value, train.cameras.value) == (1, 0, 0)
    assert train.differences() == []
