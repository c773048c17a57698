"""Cluster images by their sparse distances (paper, section 4.1), and explain the result.

All advice on the settings of a clusterer is here, beside the clusterer.
"""

from collections.abc import Callable
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import HDBSCAN

from pplr_cli.config.fields import Clustering

Labels = NDArray[np.int64]

OUTLIER = -1
FARTHEST = 0.9
"""Distance up to which HDBSCAN sees pairs; others count as 1, which changes next to nothing
and saves most of the memory."""
ZERO = 1e-6
"""Distance of copies in HDBSCAN, whose sparse graphs have no edges of length 0."""
SEED = 1
"""Of Infomap, whose search is random."""

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
    "raise `clustering.eps` or lower `clustering.min_samples` if most images are outliers, lower "
    "`clustering.eps` if all are in one cluster, or start from better `model.weights`"
)
PRECISION_OR_RECALL = (
    "If precision is high and recall is low, raise `clustering.eps`; if it is the other way round, "
    "lower it."
)


def reach(settings: Clustering) -> float:
    """Return the distance up to which `clustering.algorithm` needs all pairs."""
    return max(FARTHEST, settings.eps) if settings.algorithm == "hdbscan" else settings.eps


def cluster(distances: csr_array, cameras: Labels, settings: Clustering) -> Labels:
    """Return the cluster of each image, 0 to C - 1, or `OUTLIER`, by `clustering.algorithm`.

    Args:
        distances: CSR [N, N] of the distances up to at least `reach`, symmetric, the diagonal
            stored.
        cameras: int64 [N].
        settings: the algorithm and its parameters.
    """
    return CLUSTERERS[settings.algorithm](distances, cameras, settings)


def dbscan(distances: csr_array, eps: float, min_samples: int) -> Labels:
    """Return the labels of DBSCAN (Ester et al., KDD 1996), numbered as scikit-learn does.

    An image of at least `min_samples` within `eps`, itself included, is a core image. Clusters are
    the connected components of core images, in the order of their first one. Other images join
    the first cluster that has a core image within `eps`. scikit-learn makes an array for each
    image, which takes most of the label stage's time for very many.
    """
    n = len(distances.indptr) - 1
    rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(distances.indptr))
    columns, near = distances.indices, distances.data <= eps
    core = np.bincount(rows[near], minlength=n) >= min_samples
    near &= core[columns]
    between = near & core[rows]
    lengths = np.bincount(rows[between], minlength=n)
    pattern = columns[between], np.concatenate(([0], np.cumsum(lengths)))
    graph = csr_array((np.ones(len(pattern[0])), *pattern), shape=(n, n))
    component = connected_components(graph, connection="strong")[1][core]  # it is symmetric
    _, first, component = np.unique(component, return_index=True, return_inverse=True)
    labels = np.full(n, OUTLIER, np.int64)
    labels[core] = np.argsort(np.argsort(first))[component]
    near &= ~core[rows]
    borders, starts = np.unique(rows[near], return_index=True)
    if len(borders):
        labels[borders] = np.minimum.reduceat(labels[columns[near]], starts)
    return labels


def hdbscan(distances: csr_array, min_samples: int) -> Labels:
    """Return HDBSCAN's labels (Campello et al., 2013): clusters of at least `min_samples` images.

    Pairs that are not stored have distance 1. Each cluster has its own density: there is no eps.
    """
    crowded = np.diff(distances.indptr) >= min_samples
    if not crowded.any():
        return np.full(len(crowded), OUTLIER)
    smallest = max(2, min_samples)
    graph = _connected(csr_matrix(distances, dtype=np.float64), crowded, min_samples)
    found = HDBSCAN(smallest, min_samples=min_samples, metric="precomputed", copy=False)
    return np.asarray(found.fit_predict(graph), dtype=np.int64)


def _connected(graph: csr_matrix, crowded: NDArray[np.bool_], neighbors: int) -> csr_matrix:
    """Add the edges that HDBSCAN demands: one connected graph, `neighbors` for each image.

    Components are joined at distance 1. Images that are not crowded get neighbours at distance 2,
    so that they leave before the components part and belong to none of them.
    """
    graph.data = np.maximum(graph.data, ZERO)
    heads, lonely = np.flatnonzero(crowded), np.flatnonzero(~crowded)
    components = connected_components(graph, directed=False)[1]
    heads = heads[np.unique(components[heads], return_index=True)[1]]
    rows = np.concatenate((heads, np.repeat(lonely, neighbors)))
    columns = np.concatenate(
        (np.full_like(heads, heads[0]), np.tile(range(neighbors), len(lonely)))
    )
    lengths = np.where(crowded[rows], 1.0, 2.0)
    added = csr_matrix((lengths, (rows, columns)), shape=graph.shape)
    added = added.maximum(added.T)
    return csr_matrix(graph + added - added.multiply(graph != 0))


def infomap(distances: csr_array, eps: float, min_samples: int) -> Labels:
    """Return the groups of Infomap (Rosvall and Bergstrom, 2008) of at least `min_samples` images.

    Images within eps are linked, with weight 1 - distance.
    """
    from infomap import run

    pairs = coo_array(distances)
    rows, columns = pairs.coords
    linked = (rows != columns) & (pairs.data <= np.float32(eps))
    weights = (1 - pairs.data[linked]).astype(np.float64)
    links = csr_matrix((weights, (rows[linked], columns[linked])), shape=distances.shape)
    groups = np.zeros(links.shape[0], np.int64)
    with TemporaryDirectory() as folder:
        file = f"{folder}/modules.clu"
        # through a file: where faiss is loaded too, reading the result in Python can crash
        run(links, two_level=True, seed=SEED, num_trials=1).write_clu(file)
        images, modules = np.loadtxt(file, np.int64, usecols=(0, 1), ndmin=2).T
    groups[images] = modules
    kept = np.bincount(groups)[groups] >= min_samples
    labels = np.full(len(groups), OUTLIER)
    labels[kept] = np.unique(groups[kept], return_inverse=True)[1]
    return labels


CLUSTERERS: dict[str, Callable[[csr_array, Labels, Clustering], Labels]] = {
    "dbscan": lambda distances, _, s: dbscan(distances, s.eps, s.min_samples),
    "hdbscan": lambda distances, _, s: hdbscan(distances, s.min_samples),
    "infomap": lambda distances, _, s: infomap(distances, s.eps, s.min_samples),
}
"""The clusterers by the value of `clustering.algorithm`."""


def describe(settings: Clustering, *, tracked: bool) -> str:
    """Return the rule that makes neighbours, clusters and outliers, with advice.

    Args:
        settings: of the clustering.
        tracked: whether tracks were clustered.
    """
    few, aware = settings.min_samples, settings.distance == "camera_jaccard"
    distance = "camera-aware Jaccard distance" if aware else "Jaccard distance"
    near = f"Neighbours have a {distance} of at most `clustering.eps` = {settings.eps}."
    blurred = "Blurred or occluded images are outliers for a good reason; many clear ones suggest a"
    if tracked:
        found = settings.find_tracks
        alone = " or, of found tracks, a larger `clustering.track_eps`" if found else ""
        return (
            "Tracks were clustered: an image is an outlier if its track was joined with no other. "
            f"{blurred} larger `clustering.track_k`{alone}."
        )
    rules = {
        "dbscan": f"An image belongs to a cluster if it, or one of its neighbours, has at least "
        f"{few} neighbours (`clustering.min_samples`, itself included). {blurred} larger "
        "`clustering.eps`.",
        "hdbscan": f"HDBSCAN does not use it: a cluster has at least {few} images "
        "(`clustering.min_samples`) that are denser than their surroundings. "
        f"{blurred} smaller `clustering.min_samples`.",
        "infomap": f"Infomap groups images among which a random walk along neighbours stays long; "
        f"groups of fewer than {few} images (`clustering.min_samples`) are outliers. {blurred} "
        "larger `clustering.eps`.",
    }
    return f"{near} {rules[settings.algorithm]}"


def why_outlier(neighbors: int, reciprocal: int, settings: Clustering) -> str:
    """Explain why an image is in no cluster; the numbers are those of its `Explanation`."""
    needed, others = settings.min_samples, neighbors - 1
    some = f"{others} image{' is' if others == 1 else 's are'} its neighbour"
    mutual = f"It is mutual with {reciprocal} of its {settings.k1 - 1} nearest images."
    if settings.algorithm == "hdbscan":
        return f"It is in no dense group of {needed} images; {some}. {mutual}"
    if not others:
        return (
            f"No other image is its neighbour; a cluster needs {needed}, itself included. {mutual}"
        )
    if settings.algorithm == "infomap":
        return f"{some[0].upper()}{some[1:]}; its group has fewer than {needed} images. {mutual}"
    if neighbors >= needed:
        return "Answers about it and its neighbours separate it from them."
    return (
        f"Only {some}: {neighbors} with itself, but a cluster needs {needed}, and none of them has "
        f"as many. {mutual}"
    )
