"""Cross agreement against sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import dense
from pplr_cli.labelling import agreement


@given(count=st.integers(2, 40), parts=st.integers(1, 3), seed=st.integers(0, 99), data=st.data())
def test_equals_the_set_definition(count: int, parts: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, count - 1))
    rng = np.random.default_rng(seed)
    rank, *part_ranks = (
        np.stack(
            [
                np.concatenate(([i], rng.permutation(np.delete(np.arange(count), i))))
                for i in range(count)
            ]
        )
        for _ in range(parts + 1)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "BLOCK_ROWS", 7)
        found = agreement.cross_agreement(rank[:, : k + 1], [p[:, : k + 1] for p in part_ranks])
    np.testing.assert_allclose(found, dense.agreement(rank, part_ranks, k), atol=1e-6)
    assert found.dtype == np.float32
