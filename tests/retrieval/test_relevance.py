"""The relevance relation, against its definition pair by pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.retrieval.relevance import find_relevance


def rows(pairs):
    """The images of each query as Python lists."""
    return [part.tolist() for part in np.split(pairs.indices, pairs.indptr[1:-1])]


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


@given(
    queries=st.integers(1, 9),
    gallery=st.integers(1, 30),
    same_camera=st.booleans(),
    inside=st.booleans(),
    seed=st.integers(0),
)
def test_groups_places_and_cameras(queries, gallery, same_camera, inside, seed):
    rng = np.random.default_rng(seed)
    groups = np.unique(rng.integers(0, 4, queries), return_inverse=True)[1]
    ids, cams = rng.integers(0, 3, 4)[groups], rng.integers(0, 2, 4)[groups]
    others, places = rng.integers(-1, 3, gallery), rng.integers(0, 3, gallery)
    files = rng.integers(0, 5, queries), rng.integers(0, 5, gallery)
    digests = [["" if file == 0 else f"digest {file}" for file in part] for part in files]
    own = rng.integers(0, gallery, queries)
    found = find_relevance(
        ids, others, cams, places, *digests,
        same_camera=same_camera, places=own if inside else None, groups=groups,
    )  # fmt: skip
    copies = 0
    for group in range(groups.max() + 1):
        members = np.flatnonzero(groups == group)
        matches, left_out = [], []
        for g in range(gallery):
            same = ids[members[0]] == others[g]
            junk = same_camera and same and cams[members[0]] == places[g]
            junk = junk or (inside and g in own[members])
            copy = any(files[0][q] == files[1][g] != 0 for q in members)
            copies += copy and not junk
            left_out += [g] if junk or copy else []
            matches += [g] if same and not junk and not copy else []
        assert rows(found.matches)[group] == matches
        assert rows(found.left_out)[group] == left_out
    assert found.copies == copies
    assert found.shape == (groups.max() + 1, gallery)


@pytest.mark.parametrize("lengths", [(2, 3, 1, 3), (2, 3, 2, 4)])
def test_labels_of_other_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="is not 2 queries, 3 gallery images"):
        find_relevance(*(np.zeros(n, np.int64) for n in lengths))
