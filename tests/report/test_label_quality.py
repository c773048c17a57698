"""How good pseudo-labels are, against counting all pairs."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.report.label_quality import label_quality, purities


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_precision_and_recall_over_all_pairs(images: list[tuple[int, int]]) -> None:
    labels, identities = np.array(images).T
    found = label_quality(labels, identities)
    pairs = list(combinations(images, 2))
    clustered = [pair for pair in pairs if pair[0][0] == pair[1][0] != -1]
    same = [pair for pair in pairs if pair[0][1] == pair[1][1]]
    both = [pair for pair in clustered if pair in same]
    assert found["precision"] == pytest.approx(len(both) / len(clustered) if clustered else 0)
    assert found["recall"] == pytest.approx(len(both) / len(same) if same else 0)


def test_perfect_labels() -> None:
    identities = np.array([3, 3, 7, 7, 9])
    found = label_quality(np.array([0, 0, 1, 1, 2]), identities)
    assert set(found.values()) == {1.0}


def test_purities() -> None:
    labels, identities = np.array([0, 0, 0, 1, -1]), np.array([5, 5, 6, 6, 6])
    assert purities(labels, identities).tolist() == pytest.approx([2 / 3, 1])
    assert purities(np.array([-1]), np.array([5])).tolist() == []
