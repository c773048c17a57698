"""Separation of same and different identities by distance: two histograms and a threshold."""

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pplr_cli.retrieval.relevance import Relevance

BINS = 2000


@dataclass(frozen=True, eq=False)
class Separation:
    """Histograms of the distances of all pairs of a query and a gallery image that count.

    The threshold has the largest difference between the share of same-identity pairs and the share
    of different-identity pairs below it (Youden's J, "Index for rating diagnostic tests", 1950),
    whatever the numbers of pairs.
    """

    same: NDArray[np.int64]  # int64 [BINS], pairs of one identity
    different: NDArray[np.int64]  # int64 [BINS], pairs of two identities
    limit: float  # upper edge of the last bin; the first starts at 0

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
    """Counts the distances of all pairs in bins: its `update` is an `Observer`.

    If they are `squared` distances of unit features, their roots (0 to 2) are counted; otherwise
    they are re-ranked distances (0 to 1).
    """

    def __init__(self, relevance: Relevance, *, squared: bool) -> None:
        self._relevance, self._squared = relevance, squared
        self._limit = 2.0 if squared else 1.0
        self._counts = np.zeros((2, BINS), np.int64)
        self._lock = Lock()

    def update(self, block: NDArray[np.float32], first: int) -> None:
        """Count the pairs of the queries from number `first` on, if they have a match."""
        rows = slice(first, first + len(block))
        queries, images = self._relevance.matches[rows].nonzero()
        others, ignored = self._relevance.left_out[rows].nonzero()
        evaluated = np.zeros(len(block), np.bool_)
        evaluated[queries] = True
        counted = evaluated[others]
        bins = self._bins(block)
        same = _counts(bins[queries, images])
        excluded = same + _counts(bins[others[counted], ignored[counted]])
        different = _counts(bins[evaluated].ravel()) - excluded
        with self._lock:
            self._counts += (same, different)

    def _bins(self, distances: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the bins of distances; rounding may have moved them just outside the range."""
        values = distances.clip(0).astype(np.float64)
        scaled = (np.sqrt(values) if self._squared else values) * (BINS / self._limit)
        return scaled.astype(np.int64).clip(max=BINS - 1)

    @property
    def separation(self) -> Separation:
        """The counts so far."""
        same, different = self._counts.copy()
        return Separation(same, different, self._limit)


def _counts(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(bins, minlength=BINS)
