"""DBSCAN on the sparse graph against scikit-learn on the dense matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from benchmarks import dense
from pplr_cli.config.fields import Clustering
from pplr_cli.labelling.clustering import CLUSTERERS, OUTLIER, cluster, dbscan, why_outlier


def kept(distances: np.ndarray, limit: float) -> csr_array:
    """Return the entries up to the limit, zeros too."""
    rows, columns = np.nonzero(distances <= limit)
    return csr_array((distances[rows, columns], (rows, columns)), shape=distances.shape)


@given(count=st.integers(1, 60), seed=st.integers(0, 999), min_samples=st.integers(1, 6))
@settings(max_examples=60)
def test_labels_and_numbers_are_those_of_the_dense_matrix(
    count: int, seed: int, min_samples: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2)).round(1)  # ties and duplicates
    distances = np.abs(points[:, None] - points).max(2).astype(np.float32)
    labels = dbscan(kept(distances, 0.25), 0.25, min_samples)
    assert labels.tolist() == dense.cluster(distances, 0.25, min_samples).tolist()


def test_all_outliers() -> None:
    distances = np.where(np.eye(5, dtype=bool), 0, 0.9).astype(np.float32)
    assert (dbscan(kept(distances, 0.5), 0.5, 2) == OUTLIER).all()


def test_the_setting_chooses_the_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def by_camera(_: csr_array, cameras: np.ndarray, settings: Clustering) -> np.ndarray:
        seen.append(cameras)
        return cameras // int(10 * settings.eps)

    monkeypatch.setitem(CLUSTERERS, "dbscan", by_camera)
    cameras = np.array([0, 1, 2, 3, 4, 5])
    found = cluster(kept(np.ones((6, 6), np.float32), 1), cameras, Clustering(eps=0.2))
    assert found.tolist() == [0, 0, 1, 1, 2, 2]
    assert seen[0] is cameras


@pytest.mark.parametrize(
    ("neighbors", "reciprocal", "words"),
    [
        (1, 0, ("No other image is", "needs 4, itself", "mutual with 0 of its 19 nearest")),
        (2, 1, ("Only 1 image is its", "2 with itself", "needs 4", "mutual with 1 of")),
        (3, 7, ("Only 2 images are its", "3 with itself", "mutual with 7 of its 19")),
    ],
)
def test_why_an_image_is_an_outlier(
    neighbors: int, reciprocal: int, words: tuple[str, ...]
) -> None:
    reason = why_outlier(neighbors, reciprocal, Clustering(min_samples=4, k1=20))
    assert all(word in reason for word in words)
