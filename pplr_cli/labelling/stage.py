"""The clustering stage: pseudo-labels and cross agreement of all images (paper, section 3.2)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.labelling.agreement import cross_agreement
from pplr_cli.labelling.clustering import OUTLIER, cluster
from pplr_cli.labelling.explanation import Surroundings, surroundings
from pplr_cli.labelling.jaccard import jaccard_distance
from pplr_cli.labelling.neighbors import nearest
from pplr_cli.progress import Reporter, Silent
from pplr_cli.timing import Stopwatch


@dataclass(frozen=True)
class PseudoLabels:
    """What one clustering stage found.

    Attributes:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        agreement: cross agreement score of each image and part, float32 [N, P].
        around: why each image is in its cluster or in none; explains, trains nothing.
    """

    labels: NDArray[np.int64]
    agreement: NDArray[np.float32]
    around: Surroundings | None = None

    @property
    def clusters(self) -> int:
        """C, the number of clusters."""
        return int(self.labels.max(initial=OUTLIER)) + 1

    @property
    def outliers(self) -> int:
        """Images in no cluster."""
        return int((self.labels == OUTLIER).sum())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Images in each cluster, int64 [C]."""
        return np.bincount(self.labels[self.labels != OUTLIER], minlength=self.clusters)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name, as a file holds them."""
        found: dict[str, NDArray[Any]] = {"labels": self.labels, "agreement": self.agreement}
        return found | (self.around._asdict() if self.around is not None else {})

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "PseudoLabels":
        """Return what `arrays` gave."""
        own = {"labels", "agreement"}
        around = {name: array for name, array in arrays.items() if name not in own}
        known = Surroundings(**around) if around else None
        return cls(arrays["labels"], arrays["agreement"], known)


def pseudo_labels(
    features: Tensor,
    clustering: Clustering,
    agreement: Agreement,
    processes: Processes = ALONE,
    reporter: Reporter | None = None,
    watch: Stopwatch | None = None,
) -> PseudoLabels:
    """Cluster the images and score how far global and part features agree.

    One search of the global features serves both. Several processes share out the searches, one
    for each kind of feature; the first of them clusters.

    Args:
        features: float32 [1 + P, N, D], global ones first, each L2-normalised.
        clustering: k1, k2, eps, min_samples.
        agreement: k.
        processes: those that hold these features (default: this one alone).
        reporter: told which part is under way.
        watch: given the time of each part: `label_knn`, `label_jaccard`, ...

    Raises:
        DataError: fewer images than neighbours, or features that are not finite.
    """
    reporter, watch = reporter or Silent(), watch or Stopwatch()
    whole, *parts = features
    near = agreement.k + 1
    with _part("knn", "nearest neighbours", reporter, watch):
        searches = [partial(nearest, whole, max(clustering.k1, near))]
        searches += [partial(nearest, part, near) for part in parts]
        ranks, *part_ranks = processes.divide(searches)

    def cluster_and_compare() -> PseudoLabels:
        with _part("jaccard", "Jaccard distances", reporter, watch):
            distances = jaccard_distance(
                whole.cpu().numpy(), ranks, clustering.k1, clustering.k2, clustering.eps
            )
        with _part("dbscan", "clustering", reporter, watch):
            labels = cluster(distances, clustering.eps, clustering.min_samples)
        with _part("agreement", "cross agreement", reporter, watch):
            scores = cross_agreement(ranks[:, :near], part_ranks)
        with _part("surroundings", "surroundings", reporter, watch):
            around = surroundings(distances, ranks[:, : clustering.k1])
        return PseudoLabels(labels, scores, around)

    return processes.once(cluster_and_compare)


@contextmanager
def _part(name: str, title: str, reporter: Reporter, watch: Stopwatch) -> Iterator[None]:
    """Show a part of the stage as work of unknown length, and take its time."""
    with reporter.task(title, 0, ""), watch.timing(f"label_{name}"):
        yield
