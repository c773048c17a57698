"""Clusters of images from sparse Jaccard distances (paper, section 4.1: DBSCAN)."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix
from sklearn.cluster import DBSCAN
from sklearn.neighbors import sort_graph_by_row_values

OUTLIER = -1


def cluster(distances: csr_array, eps: float, min_samples: int) -> NDArray[np.int64]:
    """Return each image's cluster 0..C-1 in scikit-learn's order, or `OUTLIER`.

    Args:
        distances: CSR [N, N] of the distances up to at least `eps`, the diagonal stored.
        eps: largest distance of two neighbours.
        min_samples: neighbours, the image itself included, that make a core image.
    """
    graph = sort_graph_by_row_values(csr_matrix(distances), warn_when_not_sorted=False)
    labels = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(graph)
    return np.asarray(labels, dtype=np.int64)
