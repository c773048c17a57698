"""The clustering stage: pseudo-labels and cross agreement of all images (paper, section 3.2)."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config import Agreement, Clustering
from pplr_cli.engine.agreement import cross_agreement
from pplr_cli.engine.clustering import OUTLIER, cluster
from pplr_cli.engine.jaccard import jaccard_distance
from pplr_cli.engine.neighbors import nearest
from pplr_cli.processes import ALONE, Processes


@dataclass(frozen=True)
class PseudoLabels:
    """What one clustering stage found.

    Attributes:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        agreement: cross agreement score of each image and part, float32 [N, P].
    """

    labels: NDArray[np.int64]
    agreement: NDArray[np.float32]

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


def pseudo_labels(
    features: Tensor,
    clustering: Clustering,
    agreement: Agreement,
    processes: Processes = ALONE,
) -> PseudoLabels:
    """Cluster the images and score how far global and part features agree.

    One search of the global features serves both. Several processes share out the searches, one
    for each kind of feature; the first of them clusters.

    Args:
        features: float32 [1 + P, N, D], global ones first, each L2-normalised.
        clustering: k1, k2, eps, min_samples.
        agreement: k.
        processes: those that hold these features (default: this one alone).

    Raises:
        DataError: fewer images than neighbours, or features that are not finite.
    """
    whole, *parts = features
    near = agreement.k + 1
    searches = [partial(nearest, whole, max(clustering.k1, near))]
    searches += [partial(nearest, part, near) for part in parts]
    ranks, *part_ranks = processes.divide(searches)

    def cluster_and_compare() -> PseudoLabels:
        distances = jaccard_distance(
            whole.cpu().numpy(), ranks, clustering.k1, clustering.k2, clustering.eps
        )
        labels = cluster(distances, clustering.eps, clustering.min_samples)
        return PseudoLabels(labels, cross_agreement(ranks[:, :near], part_ranks))

    return processes.once(cluster_and_compare)
