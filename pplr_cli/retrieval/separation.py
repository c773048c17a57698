"""Separation of same and different identities by distance: two histograms and a threshold."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pplr_cli.parallel import by_blocks
from pplr_cli.retrieval.ranking import ROWS
from pplr_cli.retrieval.relevance import Relevance

BINS = 2000


@dataclass(frozen=True, eq=False)
class Separation:
    """Histograms of the distances of all pairs of a query and a gallery image that count.

    The threshold has the largest difference between the share of same-identity pairs and the share
    of different-identity pairs below it (Youden's J, "Index for rating diagnostic tests", 1950),
    whatever the numbers of pairs.

    Attributes:
        same: int64 [BINS], pairs of one identity.
        different: int64 [BINS], pairs of two identities.
        limit: upper edge of the last bin; the first starts at 0.
    """

    same: NDArray[np.int64]
    different: NDArray[np.int64]
    limit: float

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges of the bins, float64 [BINS + 1]."""
        return np.linspace(0, self.limit, BINS + 1)

    @property
    def threshold(self) -> float:
        """The distance below which two images most likely show one identity."""
        return float(self.edges[self._cut])

    @property
    def same_below(self) -> float:
        """Share of the same-identity pairs below the threshold."""
        return float(_shares(self.same)[self._cut])

    @property
    def different_below(self) -> float:
        """Share of the different-identity pairs below the threshold."""
        return float(_shares(self.different)[self._cut])

    @property
    def _cut(self) -> int:
        """Number of bins below the threshold; the middle one of equally good ones."""
        gain = _shares(self.same) - _shares(self.different)
        best = np.flatnonzero(gain == gain.max())
        return int(best[len(best) // 2])


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of the pairs below each edge."""
    below = np.concatenate(([0], counts.cumsum()))
    return below / max(1, int(below[-1]))


class PairCounter:
    """Counts the distances of all pairs in bins: an `Observer` of the distances.

    Args:
        relevance: which pairs count.
        squared: the blocks contain squared distances of unit features, whose roots (0 to 2) are
            counted; otherwise re-ranked distances (0 to 1).
    """

    def __init__(self, relevance: Relevance, *, squared: bool) -> None:
        self._lists, self._squared = (*relevance.matches, *relevance.left_out), squared
        self._limit = 2.0 if squared else 1.0
        self._counts = np.zeros((2, BINS), np.int64)

    def update(self, block: NDArray[np.float32], first: int) -> None:
        """Count the pairs of the queries from number `first` on."""
        scale = BINS / self._limit

        def count(a: int, b: int) -> NDArray[np.int64]:
            counts: NDArray[np.int64] = _count_rows(
                block[a:b], first + a, *self._lists, self._squared, scale
            )
            return counts

        self._counts += sum(by_blocks(len(block), count, ROWS))

    @property
    def separation(self) -> Separation:
        """The counts so far."""
        same, different = self._counts.copy()
        return Separation(same, different, self._limit)


@njit(nogil=True, cache=True)
def _count_rows(  # type: ignore[no-untyped-def]
    distances, first, begin_matches, matches, begin_left_out, left_out, squared, scale
):
    """Return int64 [2, BINS]: pairs of one identity, and all others that count."""
    counts = np.zeros((2, BINS), np.int64)
    for row in range(len(distances)):
        query = first + row
        own = matches[begin_matches[query] : begin_matches[query + 1]]
        if len(own) == 0:
            continue
        for distance in distances[row]:
            counts[1, _bin(distance, squared, scale)] += 1
        for image in own:
            place = _bin(distances[row, image], squared, scale)
            counts[0, place] += 1
            counts[1, place] -= 1
        for image in left_out[begin_left_out[query] : begin_left_out[query + 1]]:
            counts[1, _bin(distances[row, image], squared, scale)] -= 1
    return counts


@njit(nogil=True, cache=True)
def _bin(distance: float, squared: bool, scale: float) -> int:
    """Return the bin of a distance; rounding may have moved it just outside the range."""
    value = max(distance, 0.0)
    return min(int((np.sqrt(value) if squared else value) * scale), BINS - 1)
