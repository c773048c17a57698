"""Explain each image's place in the clusters: neighbours, mutual neighbours, nearest images."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Ranks = NDArray[np.int32]

NEAREST = 5
"""Nearest images kept for each image."""
BLOCK_ROWS = 4096


class Explanation(NamedTuple):
    """What the clusterer saw of each of N images."""

    neighbors: NDArray[np.int32]  # images within eps, itself included, int32 [N]
    # how many of its k1 - 1 nearest others have it among theirs, int32 [N]
    reciprocal: NDArray[np.int32]
    nearest: NDArray[np.int32]  # the nearest others by the global feature, int32 [N, <= NEAREST]
    within: NDArray[np.bool_]  # which of `nearest` are within eps, bool [N, <= NEAREST]


def explain(distances: csr_array, ranks: Ranks, eps: float) -> Explanation:
    """Return the explanation of each image.

    Takes the distances up to at least eps, CSR [N, N] with sorted indices and the diagonal stored,
    and the nearest images by the global feature, int32 [N, k1], the image itself first.
    """
    nearest, near = ranks[:, 1 : 1 + NEAREST].copy(), _within(distances, eps)
    neighbors = np.diff(near.indptr).astype(np.int32)
    return Explanation(neighbors, _reciprocal(ranks), nearest, _stored(near, nearest))


def _within(distances: csr_array, eps: float) -> csr_array:
    """Return the distances up to eps, zeros included."""
    kept = distances.data <= np.float32(eps)
    if kept.all():
        return distances
    indptr = np.concatenate(([0], np.cumsum(kept)))[distances.indptr]
    return csr_array((distances.data[kept], distances.indices[kept], indptr), distances.shape)


def _reciprocal(ranks: Ranks) -> NDArray[np.int32]:
    """Return how many of each image's others in `ranks` have it in their own row."""
    found = np.empty(len(ranks), np.int32)
    for start in range(0, len(ranks), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(ranks)))
        mutual = (ranks[ranks[rows, 1:]] == rows[:, None, None]).any(2)
        found[rows] = mutual.sum(1)
    return found


def _stored(matrix: csr_array, columns: Ranks) -> NDArray[np.bool_]:
    """Return which of each row's `columns` the matrix stores, zeros included."""
    n = len(columns)
    stored = np.repeat(np.arange(n), np.diff(matrix.indptr)) * n + matrix.indices
    wanted = np.arange(n)[:, None] * n + columns
    places = np.searchsorted(stored, wanted).clip(max=max(len(stored) - 1, 0))
    found: NDArray[np.bool_] = stored[places] == wanted
    return found
