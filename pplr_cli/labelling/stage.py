"""Compute the pseudo-labels and the cross agreement of all images (paper, section 3.2)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.agreement import cross_agreement
from pplr_cli.labelling.clustering import OUTLIER, cluster
from pplr_cli.labelling.constraints import Answers, constrain
from pplr_cli.labelling.explanation import Explanation, explain
from pplr_cli.labelling.jaccard import jaccard_distance
from pplr_cli.labelling.neighbors import nearest
from pplr_cli.labelling.tracks import cluster_tracks, track_means
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

Ints = NDArray[np.int64]
Ranks = NDArray[np.int32]

FARTHEST = 0.999
"""Largest distance at which images count as similar at all."""


@dataclass(frozen=True)
class PseudoLabels:
    """The result of one label stage; training does not use the explanation.

    Attributes:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        agreement: cross agreement of each image and part, float32 [N, P].
    """

    labels: Ints
    agreement: NDArray[np.float32]
    explanation: Explanation | None = None

    @property
    def clusters(self) -> int:
        """C, the number of clusters."""
        return int(self.labels.max(initial=OUTLIER)) + 1

    @property
    def outliers(self) -> int:
        """Number of images in no cluster."""
        return int((self.labels == OUTLIER).sum())

    @property
    def sizes(self) -> Ints:
        """Number of images in each cluster, int64 [C]."""
        return np.bincount(self.labels[self.labels != OUTLIER], minlength=self.clusters)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name, for a file."""
        found: dict[str, NDArray[Any]] = {"labels": self.labels, "agreement": self.agreement}
        return found | (self.explanation._asdict() if self.explanation is not None else {})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "PseudoLabels":
        """Restore what `arrays` returned."""
        kept = dict(arrays)
        labels, agreement = kept.pop("labels"), kept.pop("agreement")
        return cls(labels, agreement, Explanation(**kept) if kept else None)


def _jaccard(features: Tensor, ranks: Ranks, _: Ints, settings: Clustering) -> csr_array:
    vectors = features.cpu().numpy()
    return jaccard_distance(vectors, ranks, settings.k1, settings.k2, settings.eps)


DISTANCES: dict[str, Callable[[Tensor, Ranks, Ints, Clustering], csr_array]] = {
    "jaccard": _jaccard,
}
"""The distances by the value of `clustering.distance`.

Each takes the global features float32 [N, D], the neighbours int32 [N, >= k1] (each image itself
first), the cameras int64 [N] and the settings. It returns the distances up to eps, as float32 CSR
[N, N] with sorted indices and the diagonal stored.
"""


def similarity(features: Tensor, ranks: Ranks, cameras: Ints, settings: Clustering) -> csr_array:
    """Return 1 - distance of all images that share neighbours, float32 CSR [N, N]."""
    far = settings.model_copy(update={"eps": FARTHEST})
    found = DISTANCES[settings.distance](features, ranks, cameras, far)
    found.data = 1 - found.data
    return found


def label(
    features: Tensor,
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

    Several processes share the neighbour searches, one for each kind of feature; the first process
    clusters, and all get its result.

    Args:
        features: float32 [1 + P, N, D], global ones first, each L2-normalised.
        cameras: int64 [N], all equal if unknown; for distances and clusterers that use them.
        clustering: settings of the distance and the algorithm.
        agreement: k.
        runtime: processes and reporter (default: this process, silent).
        watch: gets the time of each part: `label_knn`, `label_jaccard`, ...
        tracks: if given, tracks are clustered and compared, not images (`labelling/tracks.py`).
        answers: what people answered about pairs of images, which the clusters honour.

    Raises:
        DataError: fewer images than neighbours, or features that are not finite.
    """
    runtime, watch = runtime or Runtime(), watch or Stopwatch()
    global_features, *part_features = features
    settings, near = (clustering, agreement), agreement.k + 1

    @contextmanager
    def part(name: str, title: str) -> Iterator[None]:
        with runtime.reporter.task(title, 0, ""), watch.timing(f"label_{name}"):
            yield

    if tracks is not None:
        return runtime.processes.on_rank_zero(
            lambda: _label_tracks(features, tracks, answers, *settings, part)
        )
    with part("knn", "nearest neighbours"):
        searches = [partial(nearest, global_features, max(clustering.k1, near))]
        searches += [partial(nearest, each, near) for each in part_features]
        ranks, *part_ranks = runtime.processes.divide(searches)

    def cluster_and_compare() -> PseudoLabels:
        with part(clustering.distance, "distances"):
            distances = DISTANCES[clustering.distance](global_features, ranks, cameras, clustering)
        with part("surroundings", "explanation"):  # the name in records of earlier versions
            explanation = explain(distances, ranks[:, : clustering.k1])
        with part(clustering.algorithm, "clustering"):  # last: it may reorder the distances
            labels = cluster(distances, cameras, clustering)
            if answers is not None:
                alike = similarity(global_features, ranks, cameras, clustering)
                labels = constrain(labels, alike, answers)
        with part("agreement", "cross agreement"):
            scores = cross_agreement(ranks[:, :near], part_ranks)
        return PseudoLabels(labels, scores, explanation)

    return runtime.processes.on_rank_zero(cluster_and_compare)


def _label_tracks(
    features: Tensor,
    tracks: Tracks,
    answers: Answers | None,
    clustering: Clustering,
    agreement: Agreement,
    part: Callable[[str, str], AbstractContextManager[None]],
) -> PseudoLabels:
    """Cluster tracks and compute their agreement, each track the mean of its features."""
    with part("tracks", "clustering"):
        labels = cluster_tracks(features[0], tracks, clustering.track_k, answers)
    with part("agreement", "cross agreement"):
        near = min(agreement.k + 1, len(tracks))
        ranks, *others = (nearest(track_means(each, tracks), near) for each in features)
        scores = cross_agreement(ranks, others)
    return PseudoLabels(labels, scores[tracks.of])
