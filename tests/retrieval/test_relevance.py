"""The relevance relation, against its definition pair by pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.retrieval.relevance import Lists, find_relevance


def rows(lists):
    """The images of each query as Python lists."""
    return [part.tolist() for part in np.split(lists.images, lists.begin[1:-1])]


@given(
    queries=st.integers(1, 9),
    gallery=st.integers(0, 30),
    identities=st.integers(1, 5),
    cameras=st.integers(1, 3),
    seed=st.integers(0),
)
def test_same_identity_by_another_camera_matches(queries, gallery, identities, cameras, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, identities, queries), rng.integers(0, identities, gallery)
    cams = rng.integers(0, cameras, queries), rng.integers(0, cameras, gallery)
    found = find_relevance(*ids, *cams)
    same = ids[0][:, None] == ids[1]
    own = cams[0][:, None] == cams[1]
    assert rows(found.matches) == [np.flatnonzero(row).tolist() for row in same & ~own]
    assert rows(found.left_out) == [np.flatnonzero(row).tolist() for row in same & own]
    assert found.shape == (queries, gallery)


def test_lists_are_built_from_pairs():
    lists = Lists.from_pairs(np.array([0, 0, 2]), np.array([4, 2, 1]), 4)
    assert rows(lists) == [[4, 2], [], [1], []]
    assert Lists.from_pairs(np.zeros(0, int), np.zeros(0, int), 0).begin.tolist() == [0]


@pytest.mark.parametrize("lengths", [(2, 3, 1, 3), (2, 3, 2, 4)])
def test_labels_of_other_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="is not 2 queries, 3 gallery images"):
        find_relevance(*(np.zeros(n, np.int64) for n in lengths))
