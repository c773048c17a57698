"""Cluster images by their sparse distances (paper, section 4.1), and explain the result.

All advice on the settings of a clusterer is here, beside the clusterer.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix
from sklearn.cluster import DBSCAN
from sklearn.neighbors import sort_graph_by_row_values

from pplr_cli.config.fields import Clustering

Labels = NDArray[np.int64]

OUTLIER = -1

COLLAPSED = "lower `clustering.eps` (with tracks: `clustering.track_k`)"
"""Advice if one cluster holds most images."""
MANY_OUTLIERS = (
    "raise `clustering.eps`, lower `clustering.min_samples` (with tracks: raise "
    "`clustering.track_k`)"
)
"""Advice if most images are outliers."""
ONE_CAMERA = "raise `clustering.eps` a little"
"""Advice if the clusters follow the cameras."""
TOO_FEW = (
    "raise `clustering.eps` if most images are outliers, lower it if all are in one cluster, or "
    "start from better `model.weights`"
)
PRECISION_OR_RECALL = (
    "If precision is high and recall is low, raise `clustering.eps`; if it is the other way round, "
    "lower it."
)


def cluster(distances: csr_array, cameras: Labels, settings: Clustering) -> Labels:
    """Return the cluster of each image, 0 to C - 1, or `OUTLIER`, by `clustering.algorithm`.

    Args:
        distances: CSR [N, N] of the distances up to at least eps, the diagonal stored. Its rows
            may be reordered in place.
        cameras: int64 [N].
        settings: the algorithm and its parameters.
    """
    return CLUSTERERS[settings.algorithm](distances, cameras, settings)


def dbscan(distances: csr_array, eps: float, min_samples: int) -> Labels:
    """Return DBSCAN's labels, numbered as scikit-learn does; a core image counts itself."""
    graph = sort_graph_by_row_values(csr_matrix(distances), warn_when_not_sorted=False)
    labels = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(graph)
    return np.asarray(labels, dtype=np.int64)


CLUSTERERS: dict[str, Callable[[csr_array, Labels, Clustering], Labels]] = {
    "dbscan": lambda distances, _, s: dbscan(distances, s.eps, s.min_samples),
}
"""The clusterers by the value of `clustering.algorithm`."""


def describe(settings: Clustering) -> str:
    """Return the rule that makes neighbours, clusters and outliers, with advice."""
    return (
        f"Neighbours have a Jaccard distance of at most `clustering.eps` = {settings.eps}. An "
        "image belongs to a cluster if it, or one of its neighbours, has at least "
        f"{settings.min_samples} neighbours (`clustering.min_samples`, itself included). Blurred "
        "or occluded images are outliers for a good reason; many clear ones suggest a larger "
        "`clustering.eps`."
    )


def why_outlier(neighbors: int, reciprocal: int, settings: Clustering) -> str:
    """Explain why DBSCAN left an image out; the numbers are those of its `Explanation`."""
    needed, others = settings.min_samples, neighbors - 1
    if neighbors >= needed:
        return "Answers about it and its neighbours separate it from them."
    reason = f"No other image is its neighbour; a cluster needs {needed}, itself included."
    if others:
        reason = (
            f"Only {others} image{' is' if others == 1 else 's are'} its neighbour: {neighbors} "
            f"with itself, but a cluster needs {needed}, and none of them has as many."
        )
    return f"{reason} It is mutual with {reciprocal} of its {settings.k1 - 1} nearest images."
