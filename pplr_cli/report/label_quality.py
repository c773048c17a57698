"""The quality of pseudo-labels where identities are known: for information, never for training."""

import numpy as np
from numpy.typing import NDArray

from pplr_cli.labelling.clustering import OUTLIER

Labels = NDArray[np.int64]


def label_quality(labels: Labels, identities: Labels) -> dict[str, float]:
    """Return `precision` and `recall` over pairs of images, `nmi` and `ari`.

    Precision is the share of one identity among the pairs in one cluster, recall the share in one
    cluster among the pairs of one identity; outliers share no cluster. NMI (arithmetic) and ARI
    compare the clustered images.

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        identities: int64 [N].
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import pair_confusion_matrix

    kept = labels != OUTLIER
    apart = np.where(kept, labels, -1 - np.arange(len(labels)))
    pairs = pair_confusion_matrix(identities, apart)
    both, clustered, same = pairs[1, 1], pairs[:, 1].sum(), pairs[1].sum()
    return {
        "precision": float(both / clustered) if clustered else 0.0,
        "recall": float(both / same) if same else 0.0,
        "nmi": float(normalized_mutual_info_score(identities[kept], labels[kept])),
        "ari": float(adjusted_rand_score(identities[kept], labels[kept])),
    }


def purities(labels: Labels, identities: Labels) -> NDArray[np.float64]:
    """Return the share of the most frequent identity in each cluster, float64 [C]."""
    kept = labels != OUTLIER
    sizes = np.bincount(labels[kept])
    pairs, counts = np.unique((labels[kept], identities[kept]), axis=1, return_counts=True)
    most = np.zeros(len(sizes))
    np.maximum.at(most, pairs[0], counts)
    return most / sizes
