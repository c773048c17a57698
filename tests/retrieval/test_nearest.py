"""The nearest images of each query, against a full sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pplr_cli.retrieval.nearest import NONE, Nearest


@given(
    queries=st.integers(1, 9),
    gallery=st.integers(1, 30),
    k=st.integers(1, 12),
    levels=st.integers(1, 40),
    block=st.integers(1, 4),
    seed=st.integers(0),
)
def test_equals_a_full_sort_with_ties_in_gallery_order(queries, gallery, k, levels, block, seed):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, levels, (queries, gallery)).astype(np.float32)
    left_out = rng.random((queries, gallery)) < 0.3
    nearest = Nearest(k, csr_array(left_out))
    for row in range(0, queries, block):
        nearest.update(distances[row : row + block], row)
    images, found = nearest.ranked
    for query in range(queries):
        order = np.argsort(distances[query], kind="stable")
        expected = order[~left_out[query, order]][:k]
        count = len(expected)
        np.testing.assert_array_equal(images[query, :count], expected)
        np.testing.assert_array_equal(found[query, :count], distances[query, expected])
        assert (images[query, count:] == NONE).all()
        assert np.isinf(found[query, count:]).all()
