"""The clustering stage: pseudo-labels and cross agreement of all images (paper, section 3.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config import Agreement, Clustering
from pplr_cli.engine.agreement import cross_agreement
from pplr_cli.engine.clustering import OUTLIER, cluster
from pplr_cli.engine.jaccard import jaccard_distance
from pplr_cli.engine.neighbors import nearest


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


def pseudo_labels(features: Tensor, clustering: Clustering, agreement: Agreement) -> PseudoLabels:
    """Cluster the images and score how far global and part features agree.

    One search of the global features serves both.

    Args:
        features: float32 [1 + P, N, D], global ones first, each L2-normalised.
        clustering: k1, k2, eps, min_samples.
        agreement: k.

    Raises:
        DataError: fewer images than neighbours, or features that are not finite.
    """
    whole, *parts = features
    near = agreement.k + 1
    ranks = nearest(whole, max(clustering.k1, near))
    distances = jaccard_distance(
        whole.cpu().numpy(), ranks, clustering.k1, clustering.k2, clustering.eps
    )
    labels = cluster(distances, clustering.eps, clustering.min_samples)
    scores = cross_agreement(ranks[:, :near], [nearest(part, near) for part in parts])
    return PseudoLabels(labels, scores)
