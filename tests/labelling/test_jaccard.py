"""Sparse Jaccard distances against the official numbers and the dense definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from benchmarks import dense
from pplr_cli.labelling import jaccard
from pplr_cli.labelling.neighbors import nearest_by_camera


def clustered(count: int, size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, count // 8), size))
    points = centres[rng.integers(len(centres), size=count)] + 0.4 * rng.standard_normal(
        (count, size)
    )
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@given(
    count=st.integers(2, 70),
    seed=st.integers(0, 999),
    limit=st.sampled_from([0.3, 0.5, 0.95]),
    data=st.data(),
)
@settings(max_examples=30)
def test_equals_the_dense_definition(
    count: int, seed: int, limit: float, data: st.DataObject
) -> None:
    k1 = data.draw(st.integers(2, min(count, 20)))
    k2 = data.draw(st.integers(1, min(k1, 6)))
    features = clustered(count, 6, seed)
    rank = dense.ranks(features)
    expected = dense.jaccard_distance(features, rank, k1, k2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaccard, "BLOCK_ROWS", 16)
        found = jaccard.jaccard_distance(features, rank.astype(np.int32), k1, k2, limit)
    compare(found, expected, limit)


def compare(found: csr_array, expected: np.ndarray, limit: float) -> None:
    """Check stored distances against all of them; pairs at the limit itself may be on any side."""
    kept = expected <= limit
    unsure = np.abs(expected - np.float32(limit)) < 1e-5
    stored = np.zeros_like(kept)
    rows = np.repeat(np.arange(len(expected)), np.diff(found.indptr))
    stored[rows, found.indices] = True
    assert (stored == kept)[~unsure].all()
    both = stored & kept
    np.testing.assert_allclose(found.toarray()[both], expected[both], atol=1e-5)
    assert found.has_sorted_indices
    assert stored.diagonal().all()


@given(
    count=st.integers(12, 70),
    cameras=st.integers(2, 4),
    seed=st.integers(0, 999),
    limit=st.sampled_from([0.3, 0.5, 0.95]),
    data=st.data(),
)
@settings(max_examples=30)
def test_camera_distances_equal_the_dense_definition(
    count: int, cameras: int, seed: int, limit: float, data: st.DataObject
) -> None:
    """With cameras of one image too: their lists are shorter than k1 and k2."""
    k1 = data.draw(st.tuples(st.integers(2, 6), st.integers(1, 12)))
    k2 = tuple(data.draw(st.integers(1, k)) for k in k1)
    features = clustered(count, 6, seed)
    seen = np.random.default_rng(seed).integers(0, cameras, count)
    seen[0] = cameras
    found = nearest_by_camera(torch.from_numpy(features), seen, max(k1))
    near = found.own[:, : k1[0]], found.others[:, : k1[1]]
    sparse = jaccard.camera_jaccard_distance(features, *near, *k2, limit)
    compare(sparse, dense.camera_jaccard_distance(features, seen, k1, k2), limit)


def test_rows_that_meet_only_in_the_average_are_compared() -> None:
    rank = np.array([[0, 1], [1, 0], [2, 1]], np.int32)
    features = np.eye(3, dtype=np.float32)
    found = jaccard.jaccard_distance(features, rank, 2, 2, 0.9).toarray()
    expected = dense.jaccard_distance(features, rank.astype(np.int64), 2, 2)
    np.testing.assert_allclose(found[expected <= 0.9], expected[expected <= 0.9], atol=1e-6)


def test_average_of_one_row_is_the_row() -> None:
    encoding = csr_array(np.eye(3, dtype=np.float32))
    assert jaccard.average_rows(encoding, np.zeros((3, 1), np.int32)) is encoding


@given(
    count=st.integers(1, 60),
    seed=st.integers(0, 999),
    common=st.floats(0, 1),
    limit=st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.8, 0.9]),
)
@settings(max_examples=60)
def test_near_distances_have_the_bits_of_all_distances(
    count: int, seed: int, common: float, limit: float
) -> None:
    """With columns that nearly all rows share, rows of one entry, and rows that are equal."""
    rng = np.random.default_rng(seed)
    dense = rng.random((count, count)) ** 4 * (rng.random((count, count)) < 0.3)
    dense[:, : count // 4] *= rng.random((count, count // 4)) < common
    dense[np.arange(count), np.arange(count)] += 0.01
    dense = (dense / dense.sum(1, keepdims=True))[rng.integers(0, count, count)]
    encoding = csr_array(dense.astype(np.float32))
    encoding.indices, encoding.indptr = (
        part.astype(np.int32) for part in (encoding.indices, encoding.indptr)
    )
    expected = jaccard.set_distance(encoding, encoding, limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaccard, "BLOCK_ROWS", 7)
        found = jaccard.near_distance(encoding, limit)
    for name in ("data", "indices", "indptr"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
