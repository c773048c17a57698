"""The k nearest gallery images of each query."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

NONE = -1
"""Fills the places that a gallery of fewer than k images leaves empty."""


class Ranked(NamedTuple):
    """The k nearest gallery images of Q queries, nearest first, ties in gallery order."""

    images: NDArray[np.int64]  # int64 [Q, k], positions in the gallery; `NONE` in empty places
    # float32 [Q, k], the distances they are ranked by; infinite in empty places
    distances: NDArray[np.float32]


class Nearest:
    """Collects the k nearest gallery images of each query: its `update` is an `Observer`."""

    def __init__(self, k: int, left_out: csr_array) -> None:
        size = (left_out.shape[0], k)
        self.ranked = Ranked(np.full(size, NONE, np.int64), np.full(size, np.inf, np.float32))
        self._left_out = left_out.indptr, left_out.indices

    def update(self, block: NDArray[np.float32], first: int) -> None:
        """Insert the images of the queries from number `first` on."""
        _nearest_rows(block, first, *self._left_out, *self.ranked)


@njit(nogil=True, cache=True)
def _nearest_rows(distances, first, begin, left_out, images, nearest) -> None:  # type: ignore[no-untyped-def]
    """Insert each image that is nearer than the last of the k found so far."""
    last = images.shape[1] - 1
    for row in range(len(distances)):
        query = first + row
        out = left_out[begin[query] : begin[query + 1]]
        for image in range(distances.shape[1]):
            distance = distances[row, image]
            if not distance < nearest[query, last] or (out == image).any():
                continue
            place = last
            while place > 0 and distance < nearest[query, place - 1]:
                nearest[query, place] = nearest[query, place - 1]
                images[query, place] = images[query, place - 1]
                place -= 1
            nearest[query, place] = distance
            images[query, place] = image
