"""Compute the pseudo-labels and the cross agreement of all images (paper, section 3.2)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.tracks import Tracks
from pplr_cli.errors import DataError, UsageError, missing_package
from pplr_cli.labelling.agreement import cross_agreement
from pplr_cli.labelling.clustering import cluster, reach
from pplr_cli.labelling.constraints import Answers, constrain
from pplr_cli.labelling.disk_features import Features
from pplr_cli.labelling.explanation import explain
from pplr_cli.labelling.jaccard import camera_jaccard_distance, jaccard_distance
from pplr_cli.labelling.near_duplicates import by_tracks, find_tracks, several_cameras
from pplr_cli.labelling.neighbors import Neighbors, nearest, nearest_by_camera
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.search import require, search
from pplr_cli.labelling.tracks import SEARCHES, cluster_tracks, track_means
from pplr_cli.progress import SILENT, Advance, Task
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

Ints = NDArray[np.int64]
Ranks = NDArray[np.int32]

FARTHEST = 0.999
"""Largest distance at which images count as similar at all."""


def find_neighbors(
    features: Tensor,
    cameras: Ints,
    settings: Clustering,
    k: int = 0,
    runtime: Runtime | None = None,
    advance: Advance = SILENT.advance,
) -> Neighbors:
    """Search the neighbours that `clustering.distance` needs, and at least `k` of all images.

    By camera the search is always exact. `advance` counts the images.
    """
    runtime = runtime or Runtime()
    if settings.distance == "jaccard":
        return search(features, max(k, settings.k1), settings, runtime, advance)
    most = max(k, settings.k1, settings.k1_own, settings.k1_others)
    return nearest_by_camera(features, cameras, most, runtime.processes, advance)


def require_packages(settings: Clustering) -> None:
    """Raise `PplrError` if a package that the settings demand is not installed."""
    if settings.algorithm == "infomap" and find_spec("infomap") is None:
        raise missing_package("clustering.algorithm=infomap", "infomap", "infomap")
    require(settings)


def check_clustering(settings: Clustering, cameras: Ints, tracks: Tracks | None) -> None:
    """Check that images can be clustered by these settings.

    Raises:
        DataError: the distance needs cameras that the images do not have.
        UsageError: settings that have no effect on tracks.
        PplrError: a package is missing.
    """
    if by_tracks(settings, cameras, tracks):
        key = "find_tracks" if tracks is None else "tracks"
        what = "on tracks" if tracks is not None else "while `clustering.find_tracks` is on"
        for name in ("distance", "algorithm"):
            if getattr(settings, name) != Clustering.model_fields[name].default:
                raise UsageError(
                    f"`clustering.{name}` = `{getattr(settings, name)}` has no effect {what}: "
                    "tracks are joined by a rule of their own",
                    f"leave out `clustering.{name}`, or `--set clustering.{key}=false` clusters "
                    "images",
                )
    if settings.distance == "camera_jaccard" and not several_cameras(cameras):
        raise DataError(
            "`clustering.distance` = `camera_jaccard` needs the camera of every image, and two "
            "cameras or more",
            "use `--set clustering.distance=jaccard`, or prepare the images with their cameras",
        )
    require_packages(settings)


def _jaccard(features: Tensor, found: Neighbors, settings: Clustering) -> csr_array:
    vectors = features.cpu().numpy()
    return jaccard_distance(vectors, found.ranks, settings.k1, settings.k2, settings.eps)


def _camera_jaccard(features: Tensor, found: Neighbors, settings: Clustering) -> csr_array:
    assert found.own is not None
    assert found.others is not None
    near = found.own[:, : settings.k1_own], found.others[:, : settings.k1_others]
    averaged = settings.k2_own, settings.k2_others
    return camera_jaccard_distance(features.cpu().numpy(), *near, *averaged, settings.eps)


DISTANCES: dict[str, Callable[[Tensor, Neighbors, Clustering], csr_array]] = {
    "jaccard": _jaccard,
    "camera_jaccard": _camera_jaccard,
}
"""The distances by the value of `clustering.distance`.

Each takes the global features float32 [N, D], what `find_neighbors` found and the settings. It
returns the distances up to eps, as float32 CSR [N, N] with sorted indices and the diagonal stored.
"""


def similarity(features: Tensor, found: Neighbors, settings: Clustering) -> csr_array:
    """Return 1 - distance of all images that share neighbours, float32 CSR [N, N]."""
    far = settings.model_copy(update={"eps": FARTHEST})
    alike = DISTANCES[settings.distance](features, found, far)
    alike.data = 1 - alike.data
    return alike


def label(
    features: Features,
    cameras: Ints,
    clustering: Clustering,
    agreement: Agreement,
    runtime: Runtime | None = None,
    watch: Stopwatch | None = None,
    *,
    tracks: Tracks | None = None,
    answers: Answers | None = None,
) -> PseudoLabels:
    """Cluster the images and compute the agreement of their global and part features.

    Several processes share each neighbour search; the first process clusters, and all get its
    result.

    Args:
        features: [1 + P, N, D]; of those on disk one space at a time is in memory.
        cameras: int64 [N], all equal if unknown; for distances and clusterers that use them.
        clustering: settings of the distance and the algorithm.
        agreement: k.
        runtime: processes and reporter (default: this process, silent).
        watch: gets the time of each part: `label_knn`, `label_jaccard`, ...
        tracks: if given, tracks are clustered and compared, not images (`labelling/tracks.py`).
        answers: what people answered about pairs of images, which the clusters honour.

    Raises:
        DataError: fewer images than neighbours, features that are not finite, or no cameras.
        UsageError: see `check_clustering`.
    """
    check_clustering(clustering, cameras, tracks)
    runtime, watch = runtime or Runtime(), watch or Stopwatch()
    settings, near = (clustering, agreement), agreement.k + 1

    @contextmanager
    def part(name: str, title: str, total: int = 0, unit: str = "images") -> Iterator[Task]:
        counted = runtime.reporter.task(title, total, unit if total else "")
        with counted as task, watch.timing(f"label_{name}"):
            yield task

    if tracks is None and by_tracks(clustering, cameras, tracks):
        with part("knn", "near-duplicates", len(cameras)) as task:
            tracks = find_tracks(features[0], cameras, clustering, answers, runtime, task.advance)
    if tracks is not None:
        return runtime.processes.on_rank_zero(
            lambda: _label_tracks(features, tracks, answers, *settings, part)
        )
    with part("knn", "nearest neighbours", len(features) * len(cameras)) as task:
        found = find_neighbors(features[0], cameras, clustering, near, runtime, task.advance)
        by_part = [
            search(features[space], near, clustering, runtime, task.advance)
            for space in range(1, len(features))
        ]
    ranks, searches = found.ranks, [found, *by_part]
    recall = min((each.recall for each in searches if each.recall is not None), default=None)

    def cluster_and_compare() -> PseudoLabels:
        global_features = features[0]
        with part(clustering.distance, "distances"):
            far = clustering.model_copy(update={"eps": reach(clustering)})
            distances = DISTANCES[clustering.distance](global_features, found, far)
        with part("surroundings", "explanation"):  # the name in records of earlier versions
            explanation = explain(distances, ranks[:, : clustering.k1], clustering.eps)
        with part(clustering.algorithm, "clustering"):
            labels = cluster(distances, cameras, clustering)
            if answers is not None:
                alike = similarity(global_features, found, clustering)
                labels = constrain(labels, alike, answers)
        with part("agreement", "cross agreement"):
            scores = cross_agreement(ranks[:, :near], [each.ranks for each in by_part])
        return PseudoLabels(labels, scores, explanation, recall)

    return runtime.processes.on_rank_zero(cluster_and_compare)


def _label_tracks(
    features: Features,
    tracks: Tracks,
    answers: Answers | None,
    clustering: Clustering,
    agreement: Agreement,
    part: Callable[[str, str, int, str], AbstractContextManager[Task]],
) -> PseudoLabels:
    """Cluster tracks and compute their agreement, each track the mean of its features."""
    with part("tracks", "clustering", SEARCHES * len(tracks), "tracks") as task:
        labels = cluster_tracks(features[0], tracks, clustering.track_k, answers, task.advance)
    with part("agreement", "cross agreement", len(features) * len(tracks), "tracks") as task:
        near = min(agreement.k + 1, len(tracks))
        ranks, *others = (
            nearest(track_means(each, tracks), near, advance=task.advance) for each in features
        )
        scores = cross_agreement(ranks, others)
    return PseudoLabels(labels, scores[tracks.of], tracks=len(tracks))
