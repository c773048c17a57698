"""How well distances tell the same identity from different ones: two histograms, one threshold."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pplr_cli.parallel import Lists, by_rows

BINS = 2000


@dataclass(frozen=True, eq=False)
class Separation:
    """The distances of all pairs of a query and a gallery image that count in the metric.

    The threshold is the one with the largest difference between the share of same-identity pairs
    and the share of different-identity pairs below it (Youden's J, "Index for rating diagnostic
    tests", 1950): how many pairs there are of each does not matter.

    Attributes:
        same: int64 [BINS], pairs of one identity by distance.
        different: int64 [BINS], pairs of two identities.
        limit: distance at which the last bin ends; the first begins at 0.
    """

    same: NDArray[np.int64]
    different: NDArray[np.int64]
    limit: float

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins begin, and the end, float64 [BINS + 1]."""
        return np.linspace(0, self.limit, BINS + 1)

    @property
    def threshold(self) -> float:
        """The distance below which two images are best taken for one identity."""
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
        """Number of bins below the threshold: the middle one of those that are equally good."""
        gain = _shares(self.same) - _shares(self.different)
        best = np.flatnonzero(gain == gain.max())
        return int(best[len(best) // 2])


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return which share of the pairs lies below each edge."""
    below = np.concatenate(([0], counts.cumsum()))
    return below / max(1, int(below[-1]))


class PairCounter:
    """Sorts the distances of all pairs into bins; holds 2 x BINS numbers.

    Args:
        matches: for each query the gallery images of its identity that count.
        left_out: for each query the gallery images that do not count.
        squared: whether the blocks hold squared distances of unit features (else: re-ranked ones,
            0 to 1); their roots, 0 to 2, are counted.
    """

    def __init__(self, matches: Lists, left_out: Lists, *, squared: bool) -> None:
        self._lists, self._squared = (*matches, *left_out), squared
        self._limit = 2.0 if squared else 1.0
        self._counts = np.zeros((2, BINS), np.int64)

    def see(self, block: NDArray[np.float32], first: int) -> None:
        """Take the distances [B, G] of the queries from number `first` on."""
        scale = BINS / self._limit
        self._counts += sum(
            by_rows(
                lambda rows, query: _count_rows(rows, query, *self._lists, self._squared, scale),
                block,
                first,
            )
        )

    @property
    def separation(self) -> Separation:
        """What was counted so far."""
        same, different = self._counts.copy()
        return Separation(same, different, self._limit)


@njit(nogil=True, cache=True)
def _count_rows(
    distances: NDArray[np.float32],
    first: int,
    begin_matches: NDArray[np.int64],
    matches: NDArray[np.int64],
    begin_out: NDArray[np.int64],
    left_out: NDArray[np.int64],
    squared: bool,
    scale: float,
) -> NDArray[np.int64]:
    """Return int64 [2, BINS]: all pairs that count, those of one identity taken out of the rest."""
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
        for image in left_out[begin_out[query] : begin_out[query + 1]]:
            counts[1, _bin(distances[row, image], squared, scale)] -= 1
    return counts


@njit(nogil=True, cache=True)
def _bin(distance: float, squared: bool, scale: float) -> int:
    """Return the bin of a distance; rounding may have left it just outside of all."""
    value = max(distance, 0.0)
    return min(int((np.sqrt(value) if squared else value) * scale), BINS - 1)
