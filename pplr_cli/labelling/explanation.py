"""Why an image is in a cluster or in none: what DBSCAN saw around it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Ranks = NDArray[np.int32]

NEAREST = 5
"""Nearest images that are kept of each."""
BLOCK_ROWS = 4096


class Surroundings(NamedTuple):
    """The neighbourhood of each of N images.

    Attributes:
        neighbors: images within eps, itself included, int32 [N]; `min_samples` make a core image.
        reciprocal: of the k1 - 1 nearest others, how many have the image among theirs, int32 [N].
        nearest: the nearest others by the global feature, int32 [N, <= NEAREST].
        within: which of `nearest` lie within eps, bool [N, <= NEAREST].
    """

    neighbors: NDArray[np.int32]
    reciprocal: NDArray[np.int32]
    nearest: NDArray[np.int32]
    within: NDArray[np.bool_]


def surroundings(distances: csr_array, ranks: Ranks) -> Surroundings:
    """Return what there is around each image.

    Args:
        distances: CSR [N, N] of the Jaccard distances up to eps, indices sorted, diagonal stored.
        ranks: int32 [N, k1], nearest images by the global feature, the image itself first.
    """
    nearest = ranks[:, 1 : 1 + NEAREST].copy()
    neighbors = np.diff(distances.indptr).astype(np.int32)
    return Surroundings(neighbors, _reciprocal(ranks), nearest, _stored(distances, nearest))


def _reciprocal(ranks: Ranks) -> NDArray[np.int32]:
    """Return how many of each image's others in `ranks` have it in their own row."""
    found = np.empty(len(ranks), np.int32)
    for start in range(0, len(ranks), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(ranks)))
        mutual = (ranks[ranks[rows, 1:]] == rows[:, None, None]).any(2)
        found[rows] = mutual.sum(1)
    return found


def _stored(matrix: csr_array, columns: Ranks) -> NDArray[np.bool_]:
    """Tell for each row which of its `columns` the matrix stores, zeros included."""
    rows = np.arange(len(columns), dtype=np.int64)
    kept = np.repeat(rows, np.diff(matrix.indptr)) * len(rows) + matrix.indices
    asked = rows[:, None] * len(rows) + columns
    place = np.searchsorted(kept, asked).clip(max=max(len(kept) - 1, 0))
    stored: NDArray[np.bool_] = kept[place] == asked
    return stored
