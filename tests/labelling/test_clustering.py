"""DBSCAN on the sparse graph against scikit-learn on the dense matrix."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from benchmarks import dense
from pplr_cli.labelling.clustering import OUTLIER, cluster


def kept(distances: np.ndarray, limit: float) -> csr_array:
    """Return the entries up to the limit, zeros too."""
    rows, columns = np.nonzero(distances <= limit)
    return csr_array((distances[rows, columns], (rows, columns)), shape=distances.shape)


@given(count=st.integers(1, 60), seed=st.integers(0, 999), min_samples=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_labels_and_numbers_are_those_of_the_dense_matrix(
    count: int, seed: int, min_samples: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2)).round(1)  # ties and duplicates
    distances = np.abs(points[:, None] - points).max(2).astype(np.float32)
    labels = cluster(kept(distances, 0.25), 0.25, min_samples)
    assert labels.tolist() == dense.cluster(distances, 0.25, min_samples).tolist()


def test_all_outliers() -> None:
    distances = np.where(np.eye(5, dtype=bool), 0, 0.9).astype(np.float32)
    assert (cluster(kept(distances, 0.5), 0.5, 2) == OUTLIER).all()
