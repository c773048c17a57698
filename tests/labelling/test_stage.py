"""The clustering stage against every golden set."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score

from benchmarks import dense
from benchmarks.dense import TIE
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.tracks import Tracks
from pplr_cli.errors import DataError, PplrError, UsageError
from pplr_cli.labelling import agreement as agreement_module
from pplr_cli.labelling import jaccard, neighbors, stage
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.cpu_search import symmetric_search
from pplr_cli.labelling.jaccard import jaccard_distance
from pplr_cli.labelling.near_duplicates import find_tracks
from pplr_cli.labelling.neighbors import Neighbors
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import DISTANCES, label
from pplr_cli.labelling.tracks import cluster_tracks
from pplr_cli.progress import Silent, Task
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

FOLDER = Path(os.environ.get("PPLR_GOLDEN_DIR") or Path(__file__).parents[1] / "golden")
SETS = sorted(FOLDER.glob("labels_*.npz"))


def test_there_are_golden_sets() -> None:
    assert SETS


@pytest.fixture(params=[symmetric_search, neighbors.torch_search])
def _search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "search_for", lambda features: request.param)


def stage_input(path: Path) -> tuple[torch.Tensor, np.ndarray, Clustering, Agreement]:
    golden = np.load(path)
    vectors, parts = golden["features_global"], golden["features_part"]
    features = torch.from_numpy(np.concatenate((vectors[None], parts.transpose(2, 0, 1))))
    clustering = Clustering(
        k1=int(golden["k1"]),
        k2=int(golden["k2"]),
        eps=float(golden["eps"]),
        min_samples=int(golden["min_samples"]),
    )
    cameras = np.zeros(len(vectors), np.int64)
    return features, cameras, clustering, Agreement(k=int(golden["k"]))


@pytest.mark.usefixtures("_search")
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_labels_and_agreement_are_the_official_ones(path: Path) -> None:
    golden = np.load(path)
    found = label(*stage_input(path))
    expected = np.where(golden["labels"] < golden["num_clusters"], golden["labels"], -1)
    assert found.clusters == golden["num_clusters"]
    assert found.labels.tolist() == expected.tolist()
    assert found.outliers == (expected == -1).sum()
    np.testing.assert_allclose(found.agreement, golden["agreement"], atol=1e-6)


def test_parts_are_reported_and_timed() -> None:
    titles: list[str] = []

    class Listener(Silent):
        def task(
            self, title: str, total: int, unit: str, done: float = 0
        ) -> AbstractContextManager[Task]:
            titles.append(title)
            return super().task(title, total, unit, done)

    watch = Stopwatch()
    pseudo = label(*stage_input(SETS[0]), runtime=Runtime(reporter=Listener()), watch=watch)
    assert len(titles) == len(watch.seconds) == 5
    assert list(watch.seconds)[:2] == ["label_knn", "label_jaccard"]
    assert set(pseudo.arrays()) == {
        *("labels", "agreement", "neighbors", "reciprocal", "nearest", "within"),
    }


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


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_every_device_gives_the_same_labels_but_for_ties(path: Path, device: torch.device) -> None:
    features, cameras, clustering, agreement = stage_input(path)
    # rounding decides pairs at eps itself, and there are many: with 1e-5 more all are neighbours
    wider = clustering.model_copy(update={"eps": clustering.eps + TIE})
    found, expected = (label(f, cameras, wider, agreement) for f in (features.to(device), features))
    assert found.labels.tolist() == expected.labels.tolist()
    assert (np.abs(found.agreement - expected.agreement) > 1e-6).mean() < 1e-3


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_blocks_and_threads_change_no_bit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = label(*stage_input(path))
    monkeypatch.setattr(jaccard, "BLOCK_ROWS", 37)
    monkeypatch.setattr(agreement_module, "BLOCK_ROWS", 29)
    found = label(*stage_input(path))
    assert found.labels.tobytes() == expected.labels.tobytes()
    assert found.agreement.tobytes() == expected.agreement.tobytes()


def made(*counts: int, seed: int = 0) -> torch.Tensor:
    """Return a global and two part features of identities with these numbers of images."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(len(counts)), counts)
    centres = rng.standard_normal((3, len(counts), 16))[:, ids]
    noise = 0.3 * rng.standard_normal((3, len(ids), 16))
    return torch.nn.functional.normalize(torch.from_numpy(centres + noise).float(), dim=2)


@pytest.mark.parametrize("seed", range(4))
def test_the_explanation_is_that_of_dense_matrices(seed: int) -> None:
    """Clustering must not change what is explained."""
    features = made(*([7] * 12), *([1] * 20), seed=seed)
    settings = Clustering(k1=8, k2=3, eps=0.5 + TIE)
    found = labelled(features, settings, Agreement(k=5)).explanation
    assert found is not None
    vectors = features[0].numpy()
    ranks = dense.ranks(vectors)
    distances = dense.jaccard_distance(vectors, ranks, settings.k1, settings.k2)
    assert found.neighbors.tolist() == (distances <= settings.eps).sum(1).tolist()
    assert 0.2 < found.within.mean() < 0.98
    for image, row in enumerate(ranks):
        nearest = row[1:6]
        assert found.nearest[image].tolist() == nearest.tolist()
        assert found.within[image].tolist() == (distances[image, nearest] <= settings.eps).tolist()
        mutual = [image in ranks[other, : settings.k1] for other in row[1 : settings.k1]]
        assert found.reciprocal[image] == sum(mutual)


def labelled(features: torch.Tensor, clustering: Clustering, agreement: Agreement) -> PseudoLabels:
    return label(features, np.zeros(features.shape[1], np.int64), clustering, agreement)


def test_the_setting_chooses_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_number(features: torch.Tensor, found: Neighbors, settings: Clustering) -> csr_array:
        assert features.shape == (12, 16)
        assert found.ranks.shape == (12, settings.k1)
        parity = np.arange(12) % 2
        return csr_array(np.where(parity[:, None] == parity, 0.1, 0.0).astype(np.float32))

    monkeypatch.setitem(DISTANCES, "jaccard", by_number)
    assert labelled(made(6, 6), Clustering(k1=5), Agreement(k=4)).labels.tolist() == [0, 1] * 6


def test_labels_by_the_camera_distance_are_those_of_dense_matrices() -> None:
    """Cameras shift the features so far that the plain distance finds each camera's images."""
    ids, cameras = np.arange(80) // 8, np.arange(80) % 2
    shift = 0.25 * np.random.default_rng(1).standard_normal((3, 2, 16))[:, cameras]
    shifted = made(*([8] * 10)) + torch.from_numpy(shift).float()
    features = torch.nn.functional.normalize(shifted, dim=2)
    settings = Clustering(distance="camera_jaccard", k1=8, k1_own=4, k1_others=4, eps=0.5 + TIE)
    found = label(features, cameras, settings, Agreement(k=5))
    vectors = features[0].numpy()
    distances = dense.camera_jaccard_distance(vectors, cameras, (4, 4), (2, 4))
    expected = dense.cluster(distances, settings.eps, settings.min_samples)
    assert found.labels.tolist() == expected.tolist()
    plain = label(features, cameras, Clustering(k1=8), Agreement(k=5))
    np.testing.assert_array_equal(found.agreement, plain.agreement)
    score, plain_score = (adjusted_rand_score(ids, each.labels) for each in (found, plain))
    assert score > 0.8 > 0.6 > plain_score


@pytest.mark.parametrize("distance", ["jaccard", "camera_jaccard"])
@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan", "infomap"])
def test_every_clusterer_repeats_itself_and_honours_answers(distance: str, algorithm: str) -> None:
    if algorithm == "infomap":
        pytest.importorskip("infomap")
    features, cameras = made(*([9] * 8), *([1] * 8)), np.arange(80) % 3
    few = {"k1": 8, "k1_own": 3, "k1_others": 6}
    settings = Clustering.model_validate({"distance": distance, "algorithm": algorithm, **few})
    used = features, cameras, settings, Agreement(k=5)
    found, again = label(*used), label(*used)
    assert found.labels.tolist() == again.labels.tolist()
    assert adjusted_rand_score(np.arange(72) // 9, found.labels[:72]) > 0.8
    assert found.explanation is not None
    plain = label(
        features, cameras, Clustering.model_validate({"distance": distance, **few}), Agreement(k=5)
    ).explanation
    assert plain is not None
    assert found.explanation.neighbors.tolist() == plain.neighbors.tolist()
    answers = Answers(np.array([[0, 9], [79, 30]]), np.array([[20, 21], [0, 70]]))
    labels = label(*used, answers=answers).labels
    assert labels[0] == labels[9] != -1
    assert labels[79] == labels[30] != -1
    assert labels[20] != labels[21]
    assert labels[0] != labels[70]


@pytest.mark.parametrize(
    ("name", "value"), [("distance", "camera_jaccard"), ("algorithm", "hdbscan")]
)
def test_what_has_no_effect_on_tracks_is_refused(name: str, value: str) -> None:
    unknown = np.full(12, np.nan)
    tracks = Tracks(np.arange(12), np.arange(12) % 2, unknown, unknown)
    used = Clustering.model_validate({name: value}), Agreement(k=4)
    with pytest.raises(UsageError, match=f"`{value}` has no effect on tracks") as caught:
        label(made(6, 6), tracks.cameras, *used, tracks=tracks)
    assert "clustering.tracks=false" in str(caught.value.hint)
    finding = used[0].model_copy(update={"find_tracks": True})
    with pytest.raises(UsageError, match=r"no effect while .*find_tracks") as caught:
        label(made(6, 6), tracks.cameras[tracks.of], finding, used[1])
    assert "clustering.find_tracks=false" in str(caught.value.hint)


def test_found_tracks_are_clustered_like_given_ones() -> None:
    features, _, clustering, agreement = stage_input(SETS[0])
    cameras = np.random.default_rng(0).integers(0, 4, features.shape[1])
    settings = clustering.model_copy(update={"find_tracks": True})
    found = label(features, cameras, settings, agreement)
    tracks = find_tracks(features[0], cameras, settings)
    given = label(features, cameras, clustering, agreement, tracks=tracks)
    assert 1 < len(tracks) < len(cameras)
    np.testing.assert_array_equal(found.labels, given.labels)
    np.testing.assert_array_equal(found.agreement, given.agreement)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    with pytest.raises(PplrError, match="=infomap` needs the package `infomap`"):
        labelled(made(6, 6), Clustering(algorithm="infomap", k1=5), Agreement(k=4))


@pytest.mark.parametrize("cameras", [np.zeros(12), np.r_[np.full(6, -1), np.zeros(6)]])
def test_the_camera_distance_needs_cameras(cameras: np.ndarray) -> None:
    settings = Clustering(distance="camera_jaccard", k1=5, k1_others=5, k1_own=5)
    with pytest.raises(DataError, match="needs the camera of every image, and two"):
        label(made(6, 6), cameras.astype(np.int64), settings, Agreement(k=4))


@pytest.mark.parametrize(
    ("clustering", "agreement"),
    [(Clustering(k1=9), Agreement(k=3)), (Clustering(k1=3), Agreement(k=8))],
)
def test_fewer_images_than_neighbours_are_refused(
    clustering: Clustering, agreement: Agreement
) -> None:
    with pytest.raises(DataError, match="8 images are too few for a search of 9 neighbours"):
        labelled(made(4, 4), clustering, agreement)


def test_as_many_images_as_neighbours_are_enough() -> None:
    found = labelled(made(4, 4), Clustering(k1=8, k2=2), Agreement(k=7))
    assert len(found.labels) == 8
    assert (found.agreement == 1).all()  # everyone is everyone's neighbour


def test_one_image_is_refused() -> None:
    with pytest.raises(DataError, match="1 images are too few"):
        labelled(made(1), Clustering(k1=2), Agreement(k=1))


@pytest.mark.parametrize("branch", [0, 2])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
def test_features_that_are_not_finite_are_refused(branch: int, value: float) -> None:
    features = made(6, 6)
    features[branch, 5, 3] = value
    with pytest.raises(DataError, match="features hold NaN, infinite or huge values"):
        labelled(features, Clustering(k1=5), Agreement(k=4))


def test_any_number_of_exact_duplicates_shares_a_cluster() -> None:
    features = made(*[1] * 6).repeat_interleave(10, 1)  # more copies than neighbours
    found = labelled(features, Clustering(k1=6, k2=3), Agreement(k=5))
    again = labelled(features.clone(), Clustering(k1=6, k2=3), Agreement(k=5))
    assert found.labels.tolist() == again.labels.tolist()
    for image in range(6):
        labels = found.labels[10 * image : 10 * image + 10]
        assert not set(labels[labels >= 0]) & set(
            np.delete(found.labels, range(10 * image, 10 * image + 10))
        )
    assert np.isfinite(found.agreement).all()


def test_duplicates_of_images_are_clustered_with_them() -> None:
    features = made(6, 6, 6)
    features = torch.cat((features, features[:, :9]), 1)
    found = labelled(features, Clustering(k1=8, k2=3), Agreement(k=5))
    assert found.clusters == 3
    assert (found.labels[18:] == found.labels[:9]).all()


def test_no_cluster_is_a_result() -> None:
    lonely = torch.eye(30).repeat(3, 1, 1)
    found = labelled(lonely, Clustering(k1=4, k2=1, eps=0.01), Agreement(k=3))
    assert (found.clusters, found.outliers, found.sizes.tolist()) == (0, 30, [])


def test_tracks_are_clustered_and_compared_instead_of_images() -> None:
    features, _, clustering, agreement = stage_input(SETS[0])
    rng = np.random.default_rng(0)
    of, count = rng.integers(0, 60, features.shape[1]), 60
    of[:count] = np.arange(count)
    unknown = np.full(count, np.nan)
    tracks = Tracks(of, rng.integers(0, 4, count), unknown, unknown)
    watch = Stopwatch()
    found = label(features, tracks.cameras[of], clustering, agreement, watch=watch, tracks=tracks)
    np.testing.assert_array_equal(
        found.labels, cluster_tracks(features[0], tracks, clustering.track_k)
    )
    means = np.stack([features[:, of == t].sum(1).numpy() for t in range(count)], 1)
    means /= np.linalg.norm(means, axis=2, keepdims=True)
    near = [np.argsort(-(m @ m.T) - np.eye(count))[:, 1 : agreement.k + 1] for m in means]
    for image in range(0, len(of), 17):
        whole, *parts = ({*rows[of[image]].tolist()} for rows in near)
        expected = [len(whole & part) / len(whole | part) for part in parts]
        np.testing.assert_allclose(found.agreement[image], expected, atol=1e-6)
    assert list(watch.seconds) == ["label_tracks", "label_agreement"]
    assert found.explanation is None
