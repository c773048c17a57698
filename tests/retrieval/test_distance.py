import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.retrieval.distance import distance_blocks, row_blocks


@given(rows=st.integers(0, 50), columns=st.integers(1, 9), budget=st.integers(1, 400))
def test_row_blocks_cover_every_row_once_within_the_budget(rows, columns, budget):
    slices = list(row_blocks(rows, columns, budget))
    assert [r for s in slices for r in range(s.start, s.stop)] == list(range(rows))
    assert all(4 * columns * (s.stop - s.start) <= max(budget, 4 * columns) for s in slices)


def test_row_blocks_stay_small_however_much_may_be_used():
    first = next(row_blocks(100_000, 80_000, 1 << 40))
    assert 4 * 80_000 * (first.stop - first.start) <= LARGEST_BLOCK


@given(
    queries=st.integers(1, 12),
    gallery=st.integers(1, 12),
    size=st.integers(1, 9),
    seed=st.integers(0),
)
def test_blocks_equal_the_distance_of_every_pair(queries, gallery, size, seed):
    rng = np.random.default_rng(seed)
    q = rng.standard_normal((queries, size)).astype(np.float32)
    g = rng.standard_normal((gallery, size)).astype(np.float32)
    blocks = list(distance_blocks(torch.from_numpy(q), torch.from_numpy(g), budget=4 * gallery * 5))
    assert max(len(block) for block in blocks) <= 5
    expected = [[((a - b) ** 2).sum() for b in g.astype(float)] for a in q.astype(float)]
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-4)
