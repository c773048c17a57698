"""Distances of same and different identities, against all pairs one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pplr_cli.retrieval.relevance import Relevance
from pplr_cli.retrieval.separation import BINS, PairCounter, Separation


@given(
    queries=st.integers(1, 6),
    gallery=st.integers(1, 25),
    block=st.integers(1, 4),
    squared=st.booleans(),
    seed=st.integers(0),
)
def test_counts_equal_those_of_all_pairs(queries, gallery, block, squared, seed):
    rng = np.random.default_rng(seed)
    limit = 2.0 if squared else 1.0
    true = rng.integers(0, BINS, (queries, gallery))
    middle = (true + 0.5) * limit / BINS  # in the middle of its bin: no rounding matters
    distances = (middle**2 if squared else middle).astype(np.float32)
    kind = rng.integers(0, 3, (queries, gallery))  # 0 match, 1 left out, 2 another identity
    relevance = Relevance(*(csr_array(kind == k) for k in (0, 1)))
    counter = PairCounter(relevance, squared=squared)
    for row in range(0, queries, block):
        counter.update(distances[row : row + block], row)
    found = counter.separation
    evaluated = (kind == 0).any(1)
    for counts, wanted in ((found.same, 0), (found.different, 2)):
        pairs = true[evaluated][kind[evaluated] == wanted]
        np.testing.assert_array_equal(counts, np.bincount(pairs, minlength=BINS))
    assert found.limit == limit


def test_distances_that_rounding_left_outside_are_counted():
    match, nothing = (csr_array(np.array([[known, False]])) for known in (True, False))
    counter = PairCounter(Relevance(match, nothing), squared=True)
    counter.update(np.array([[-1e-7, 4.0001]], np.float32), 0)
    assert counter.separation.same[0] == 1
    assert counter.separation.different[-1] == 1


def separation(same: list[int], different: list[int]) -> Separation:
    counts = [np.bincount(values, minlength=BINS) for values in (same, different)]
    return Separation(*counts, 2.0)


@pytest.mark.parametrize("seed", range(5))
def test_threshold_has_the_largest_difference_of_shares(seed):
    rng = np.random.default_rng(seed)
    same, different = rng.integers(0, 1200, 40), rng.integers(800, BINS, 300)
    found = separation(same, different)
    gains = [(same < cut).mean() - (different < cut).mean() for cut in range(BINS + 1)]
    assert found.same_below - found.different_below == pytest.approx(max(gains))
    cut = round(found.threshold / 2 * BINS)
    assert found.same_below == (same < cut).mean()
    assert found.different_below == (different < cut).mean()


def test_threshold_stands_in_the_middle_of_a_gap():
    found = separation([100, 200], [801, 900])
    assert found.threshold == pytest.approx(0.501, abs=0.002)
    assert (found.same_below, found.different_below) == (1, 0)


def test_without_pairs_of_two_identities_nothing_breaks():
    found = separation([100], [])
    assert (found.same_below, found.different_below) == (1, 0)
