"""The clustering stage against every golden set."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from pplr_cli.config import Agreement, Clustering
from pplr_cli.engine import neighbors
from pplr_cli.engine.jaccard import jaccard_distance
from pplr_cli.engine.labels import PseudoLabels, pseudo_labels

FOLDER = Path(os.environ.get("PPLR_GOLDEN_DIR") or Path(__file__).parents[1] / "golden")
SETS = sorted(FOLDER.glob("labels_*.npz"))


def test_there_are_golden_sets() -> None:
    assert SETS


@pytest.fixture(params=[True, False], ids=["faiss", "torch"])
def _search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(neighbors, "find_spec", lambda name: None)


@pytest.mark.usefixtures("_search")
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_labels_and_agreement_are_the_official_ones(path: Path) -> None:
    golden = np.load(path)
    whole, parts = golden["features_global"], golden["features_part"]
    features = torch.from_numpy(np.concatenate((whole[None], parts.transpose(2, 0, 1))))
    clustering = Clustering(
        k1=int(golden["k1"]),
        k2=int(golden["k2"]),
        eps=float(golden["eps"]),
        min_samples=int(golden["min_samples"]),
    )
    found = pseudo_labels(features, clustering, Agreement(k=int(golden["k"])))
    expected = np.where(golden["labels"] < golden["num_clusters"], golden["labels"], -1)
    assert found.clusters == golden["num_clusters"]
    assert found.labels.tolist() == expected.tolist()
    assert found.outliers == (expected == -1).sum()
    np.testing.assert_allclose(found.agreement, golden["agreement"], atol=1e-6)


@pytest.mark.usefixtures("_search")
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_jaccard_similarity_is_the_official_one(path: Path) -> None:
    golden = np.load(path)
    features = golden["features_global"]
    k1, k2, limit = int(golden["k1"]), int(golden["k2"]), float(golden["jaccard_kept_below"])
    ranks = neighbors.nearest(torch.from_numpy(features), k1)
    found = jaccard_distance(features, ranks, k1, k2, limit)
    names = ("data", "indices", "indptr")
    expected = csr_array(tuple(golden[f"jaccard_similarity_{name}"] for name in names))
    similarity = csr_array((1 - found.data, found.indices, found.indptr), shape=found.shape)
    assert abs(similarity - expected).max() < 1e-5


def test_cluster_sizes() -> None:
    found = PseudoLabels(np.array([0, 1, -1, 1]), np.zeros((4, 3), np.float32))
    assert (found.clusters, found.outliers, found.sizes.tolist()) == (2, 1, [1, 2])
    nothing = PseudoLabels(np.array([-1, -1]), np.zeros((2, 3), np.float32))
    assert (nothing.clusters, nothing.outliers, nothing.sizes.tolist()) == (0, 2, [])
