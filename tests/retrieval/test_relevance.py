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
    contents=st.integers(0, 6),
    seed=st.integers(0),
)
def test_same_identity_by_another_camera_matches_unless_it_is_a_copy(
    queries, gallery, identities, cameras, contents, seed
):
    rng = np.random.default_rng(seed)
    ids, cams, files = (
        (rng.integers(0, most, queries), rng.integers(0, most, gallery))
        for most in (identities, cameras, contents + 1)
    )
    digests = [["" if file == 0 else f"digest {file}" for file in part] for part in files]
    found = find_relevance(*ids, *cams, *(digests if contents else ()))
    same, own, equal = (q[:, None] == g for q, g in (ids, cams, files))
    copy = equal & (files[0][:, None] > 0)
    left_out = (same & own) | copy
    assert rows(found.matches) == [np.flatnonzero(row).tolist() for row in same & ~left_out]
    assert rows(found.left_out) == [np.flatnonzero(row).tolist() for row in left_out]
    assert found.copies == (copy & ~(same & own)).sum()
    assert found.shape == (queries, gallery)


def test_lists_are_built_from_pairs():
    lists = Lists.from_pairs(np.array([0, 0, 2]), np.array([4, 2, 1]), 4)
    assert rows(lists) == [[4, 2], [], [1], []]
    assert Lists.from_pairs(np.zeros(0, int), np.zeros(0, int), 0).begin.tolist() == [0]


@pytest.mark.parametrize("lengths", [(2, 3, 1, 3), (2, 3, 2, 4)])
def test_labels_of_other_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="is not 2 queries, 3 gallery images"):
        find_relevance(*(np.zeros(n, np.int64) for n in lengths))
