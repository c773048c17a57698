"""The explanation of each image against the definition."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.labelling import explanation as module
from pplr_cli.labelling.clustering import OUTLIER, dbscan
from pplr_cli.labelling.explanation import NEAREST, explain
from pplr_cli.labelling.jaccard import jaccard_distance


def ranks_of(features: np.ndarray, k: int) -> np.ndarray:
    squares = ((features[:, None] - features[None]) ** 2).sum(2)
    np.fill_diagonal(squares, -1)
    return np.argsort(squares, axis=1, kind="stable")[:, :k].astype(np.int32)


@settings(max_examples=20)
@given(n=st.integers(6, 40), k1=st.integers(2, 6), eps=st.floats(0.1, 0.9), seed=st.integers(0, 99))
def test_is_what_the_definition_says(n: int, k1: int, eps: float, seed: int) -> None:
    features = np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    ranks = ranks_of(features, k1)
    distances = jaccard_distance(features, ranks, k1, 1, eps)
    farther = jaccard_distance(features, ranks, k1, 1, 0.95)
    found = explain(farther, ranks, eps)
    stored = np.zeros((n, n), bool)
    coordinates = distances.tocoo()
    stored[coordinates.row, coordinates.col] = True
    for image in range(n):
        others = ranks[image, 1:]
        assert found.neighbors[image] == stored[image].sum()
        assert found.reciprocal[image] == sum(image in ranks[other] for other in others)
        assert found.nearest[image].tolist() == others[:NEAREST].tolist()
        assert found.within[image].tolist() == [stored[image, j] for j in others[:NEAREST]]
    labels = dbscan(distances, eps, 4)
    assert (found.neighbors[labels == OUTLIER] < 4).all()


def test_blocks_make_no_difference(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ranks = ranks_of(np.random.default_rng(0).standard_normal((30, 3)), 8)
    expected = module._reciprocal(ranks)
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    np.testing.assert_array_equal(module._reciprocal(ranks), expected)
