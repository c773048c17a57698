"""DBSCAN on the sparse graph against scikit-learn on the dense matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from benchmarks import dense
from pplr_cli.config.fields import Clustering
from pplr_cli.labelling.clustering import (
    CLUSTERERS,
    OUTLIER,
    cluster,
    dbscan,
    describe,
    hdbscan,
    infomap,
    why_outlier,
)


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


def crowds(seed: int, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of groups of different densities and of lonely points, and the groups."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(5), size)
    centres = 10 * np.stack((np.arange(5), np.arange(5) % 2), 1)
    points = centres[ids] + (0.2 + ids[:, None]) * 0.3 * rng.standard_normal((len(ids), 2))
    points = np.concatenate((points, 1000 * (1 + np.arange(12).reshape(6, 2))))
    ids = np.r_[ids, np.full(6, OUTLIER)]
    distances = np.linalg.norm(points[:, None] - points, axis=2) / 20
    return np.minimum(distances, 1).astype(np.float32), ids


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("min_samples", [1, 2, 4, 9])
def test_hdbscan_is_that_of_the_dense_matrix(seed: int, min_samples: int) -> None:
    """The sparse graph falls into many pieces, and lonely points are farther than these."""
    distances, _ = crowds(seed)
    distances[3, 4] = distances[4, 3] = 0  # copies
    near = distances <= 0.6
    found = hdbscan(kept(distances, 0.6), min_samples)
    filled = np.where(near, distances, 1).astype(np.float64)
    lonely = near.sum(1) < min_samples
    filled[(lonely[:, None] | lonely) & ~near] = 2
    model = HDBSCAN(max(2, min_samples), min_samples=min_samples, metric="precomputed", copy=True)
    expected = model.fit_predict(filled)
    assert len(np.unique(found)) > 3
    assert min_samples == 1 or (found[-6:] == OUTLIER).all()
    assert ((found == OUTLIER) == (expected == OUTLIER)).all()
    assert adjusted_rand_score(expected, found) == 1


@pytest.mark.parametrize("min_samples", [1, 4, 40])
def test_hdbscan_of_few_or_lonely_images(min_samples: int) -> None:
    lonely = np.where(np.eye(9, dtype=bool), 0, 1).astype(np.float32)
    assert hdbscan(kept(lonely, 0.9), min_samples).tolist() == [OUTLIER] * 9


def test_infomap_works_where_faiss_is_loaded_after_it() -> None:
    """Both are wrapped by SWIG and share its iterators."""
    pytest.importorskip("infomap")
    pytest.importorskip("faiss")
    distances, ids = crowds(0, 5)
    assert adjusted_rand_score(ids, infomap(kept(distances, 0.9), 0.25, 4)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_infomap_finds_the_groups(seed: int) -> None:
    pytest.importorskip("infomap")
    distances, ids = crowds(seed, 5)
    found = infomap(kept(distances, 0.9), 0.25, 4)
    assert infomap(kept(distances, 0.3), 0.25, 4).tolist() == found.tolist()  # only up to eps
    assert ((found == OUTLIER) == (ids == OUTLIER)).all()
    assert adjusted_rand_score(ids, found) == 1
    assert (infomap(kept(distances, 0.9), 0.25, 6) == OUTLIER).all()
    assert (infomap(kept(distances, 0.9), 1e-9, 4) == OUTLIER).all()


@pytest.mark.parametrize(
    ("neighbors", "reciprocal", "words"),
    [
        (1, 0, ("No other image is", "needs 4, itself", "mutual with 0 of its 19 nearest")),
        (2, 1, ("Only 1 image is its", "2 with itself", "needs 4", "mutual with 1 of")),
        (3, 7, ("Only 2 images are its", "3 with itself", "mutual with 7 of its 19")),
    ],
)
def test_why_dbscan_leaves_an_image_out(
    neighbors: int, reciprocal: int, words: tuple[str, ...]
) -> None:
    reason = why_outlier(neighbors, reciprocal, Clustering(min_samples=4, k1=20))
    assert all(word in reason for word in words)


@pytest.mark.parametrize(
    ("algorithm", "neighbors", "words"),
    [
        ("hdbscan", 1, ("no dense group of 4 images; 0 images are its", "mutual with 7 of its 19")),
        ("hdbscan", 9, ("no dense group of 4 images; 8 images are its neighbour",)),
        ("infomap", 1, ("No other image is its neighbour",)),
        ("infomap", 3, ("2 images are its neighbour; its group has fewer than 4 images",)),
    ],
)
def test_why_the_others_leave_an_image_out(
    algorithm: str, neighbors: int, words: tuple[str, ...]
) -> None:
    settings = Clustering(algorithm=algorithm, min_samples=4, k1=20)  # type: ignore[arg-type]
    reason = why_outlier(neighbors, 7, settings)
    assert all(word in reason for word in words)
    assert f"{settings.algorithm}"[:3].lower() in describe(settings, tracked=False).lower()
    assert "`clustering.min_samples`" in describe(settings, tracked=False)
    assert "`clustering.track_k`" in describe(settings, tracked=True)
