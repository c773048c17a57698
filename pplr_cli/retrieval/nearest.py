"""The nearest gallery images of each query, gathered block by block."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pplr_cli.parallel import Lists, by_rows

NONE = -1
"""Stands where the gallery has fewer images than are asked for."""


class Ranked(NamedTuple):
    """The k nearest gallery images of Q queries, nearest first, ties in gallery order.

    Attributes:
        images: int64 [Q, k], positions in the gallery; `NONE` where there are no more.
        distances: float32 [Q, k], what they are ranked by; infinite where there are no more.
    """

    images: NDArray[np.int64]
    distances: NDArray[np.float32]


class Nearest:
    """Gathers the k nearest gallery images of each query; holds Q x k values.

    Args:
        k: images wanted of each query.
        left_out: for each query the gallery images that do not count.
    """

    def __init__(self, k: int, left_out: Lists) -> None:
        size = (len(left_out.begin) - 1, k)
        self.ranked = Ranked(np.full(size, NONE, np.int64), np.full(size, np.inf, np.float32))
        self._left_out = left_out

    def see(self, block: NDArray[np.float32], first: int) -> None:
        """Take the distances [B, G] of the queries from number `first` on."""
        by_rows(
            lambda rows, query: _nearest_rows(rows, query, *self._left_out, *self.ranked),
            block,
            first,
        )


@njit(nogil=True, cache=True)
def _nearest_rows(
    distances: NDArray[np.float32],
    first: int,
    begin: NDArray[np.int64],
    left_out: NDArray[np.int64],
    images: NDArray[np.int64],
    nearest: NDArray[np.float32],
) -> None:
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
