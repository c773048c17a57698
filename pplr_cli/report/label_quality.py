"""How good pseudo-labels are where identities exist: for people who look, never for training."""

import numpy as np
from numpy.typing import NDArray

from pplr_cli.labelling.clustering import OUTLIER

Labels = NDArray[np.int64]


def label_quality(labels: Labels, identities: Labels) -> dict[str, float]:
    """Return `precision` and `recall` over pairs of images, `nmi` and `ari`.

    Precision: of the pairs in one cluster, the share of one identity. Recall: of all pairs of one
    identity, the share in one cluster; outliers share a cluster with none. NMI (arithmetic) and
    ARI are over the clustered images.

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        identities: int64 [N].
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    kept = labels != OUTLIER
    both = _pairs(np.unique(np.stack((labels, identities))[:, kept], axis=1, return_counts=True)[1])
    clustered = _pairs(np.unique(labels[kept], return_counts=True)[1])
    same = _pairs(np.unique(identities, return_counts=True)[1])
    return {
        "precision": both / clustered if clustered else 0.0,
        "recall": both / same if same else 0.0,
        "nmi": float(normalized_mutual_info_score(identities[kept], labels[kept])),
        "ari": float(adjusted_rand_score(identities[kept], labels[kept])),
    }


def purity(labels: Labels, identities: Labels, cluster: int) -> float:
    """Return the share of a cluster's images that its most frequent identity has."""
    counts = np.unique(identities[labels == cluster], return_counts=True)[1]
    return float(counts.max() / counts.sum())


def _pairs(counts: Labels) -> int:
    return int((counts * (counts - 1) // 2).sum())
