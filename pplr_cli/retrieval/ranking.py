"""Retrieval scores: mAP, CMC and mINP.

Only the distances of the matches are sorted: the scores need the number of gallery images nearer
than each match, and one pass over a row of distances counts them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.errors import DataError
from pplr_cli.parallel import by_blocks
from pplr_cli.retrieval.distance import distance_blocks
from pplr_cli.retrieval.relevance import Relevance, check_shape
from pplr_cli.retrieval.rerank import reranked_blocks

TOP = 50
"""Ranks that the cumulative matching characteristic covers."""
ROWS = 64
"""Queries that a thread handles at a time."""

Block = NDArray[np.float32]


Observer = Callable[[Block, int], None]
"""Gets distances [B, G] and the number of their first query, on several threads at once."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval scores over all evaluated queries, each from 0 to 1.

    Attributes:
        mAP: mean average precision (scikit-learn's definition: tied distances share a threshold).
        cmc: float64 [TOP], share of queries with a match among the first k + 1 images.
        mINP: mean inverse negative penalty, matches / rank of the last match (Ye et al., "Deep
            Learning for Person Re-identification", TPAMI 2021, equation 4).
        queries: evaluated queries.
        skipped: queries without a match by another camera.
        copies: gallery images left out of a query's ranking as copies of it, over all queries.
    """

    mAP: float  # noqa: N815
    cmc: NDArray[np.float64]
    mINP: float  # noqa: N815
    queries: int
    skipped: int
    copies: int = 0

    def rank(self, k: int) -> float:
        """Return the share of queries with a match among the first `k` (1 to TOP)."""
        return float(self.cmc[k - 1])


class Scorer:
    """Scores each query: its `update` is an `Observer`.

    Attributes:
        results: float64 [Q, 5]: average precision, place of the first match (from 0), inverse
            negative penalty, position of the first match in the gallery and its distance; NaN for
            a query without a match. Tied distances are ordered as in the gallery.
    """

    def __init__(self, relevance: Relevance) -> None:
        matches, out = relevance.matches, relevance.left_out
        self._lists = matches.indptr, matches.indices, out.indptr, out.indices
        self._copies = relevance.copies
        self.results = np.full((relevance.shape[0], 5), np.nan)

    def update(self, block: Block, first: int) -> None:
        """Score the queries from number `first` on."""
        _score_rows(block, first, *self._lists, self.results)

    @property
    def scores(self) -> Scores:
        """The averages.

        Raises:
            DataError: no query has a match.
        """
        precision, place, penalty, _, _ = self.results[~np.isnan(self.results[:, 0])].T
        queries, skipped = len(precision), len(self.results) - len(precision)
        if queries == 0:
            raise DataError(
                f"none of the {skipped} query images has a gallery image of its identity by "
                "another camera: nothing to evaluate",
                "check that query and gallery come from the same data set; `--same-camera keep` "
                "counts images of the query's camera",
            )
        found = np.bincount(place.astype(np.int64), minlength=TOP)[:TOP]
        return Scores(
            mAP=float(precision.mean()),
            cmc=found.cumsum() / queries,
            mINP=float(penalty.mean()),
            queries=queries,
            skipped=skipped,
            copies=self._copies,
        )


def evaluate(
    query: Tensor,
    gallery: Tensor,
    relevance: Relevance,
    *,
    rerank: bool = False,
    budget: int = LARGEST_BLOCK,
) -> Scores:
    """Rank the gallery for each query and score the rankings.

    Args:
        query: float32 [Q, D] features on any device.
        gallery: float32 [G, D] features on the same device.
        relevance: of Q queries and G gallery images.
        rerank: rank by re-ranked distances instead of squared distances.
        budget: bytes that a block of distances may take.

    Raises:
        DataError: a feature is not finite, or no query has a match.
    """
    scorer = Scorer(relevance)
    blocks = ranking_blocks(query, gallery, rerank=rerank, budget=budget)
    observe(blocks, relevance.shape, scorer.update)
    return scorer.scores


def ranking_blocks(
    query: Tensor, gallery: Tensor, *, rerank: bool = False, budget: int = LARGEST_BLOCK
) -> Iterator[Block]:
    """Yield the squared or re-ranked distances, in blocks [B, G] of consecutive queries.

    Raises:
        DataError: a feature is not finite.
    """
    for name, features in (("query", query), ("gallery", gallery)):
        if not bool(torch.isfinite(features).all()):
            raise DataError(f"the {name} features contain values that are not finite")
    return (reranked_blocks if rerank else distance_blocks)(query, gallery, budget=budget)


def observe(blocks: Iterable[Block], shape: tuple[int, int], *observers: Observer) -> None:
    """Pass each block of distances to the observers; `ValueError` unless they are [Q, G]."""
    first = 0
    for block in blocks:
        rows = min(len(block), shape[0] - first)
        check_shape(block.shape, (rows, shape[1]))
        for observer in observers:
            _update(observer, block, first)
        first += len(block)
    check_shape((first, shape[1]), shape)


def _update(observer: Observer, block: Block, first: int) -> None:
    """Pass the rows of a block to an observer, on threads."""
    by_blocks(len(block), lambda a, b: observer(block[a:b], first + a), ROWS)


@njit(nogil=True, cache=True)
def _score_rows(  # type: ignore[no-untyped-def]
    distances, first, begin_matches, all_matches, begin_left_out, all_left_out, results
) -> None:
    """Fill `results` of the queries from number `first` on; `distances` [b, G] are theirs."""
    for row in range(len(distances)):
        query = first + row
        matches = all_matches[begin_matches[query] : begin_matches[query + 1]]
        left_out = all_left_out[begin_left_out[query] : begin_left_out[query + 1]]
        if len(matches) == 0:
            continue
        near = distances[row][matches]
        nearest = np.argmin(near)
        last = matches[len(near) - 1 - np.argmax(near[::-1])]
        results[query, 0] = _average_precision(distances[row], np.sort(near), left_out)
        results[query, 1] = _place(distances[row], matches[nearest], left_out)
        results[query, 2] = len(matches) / (_place(distances[row], last, left_out) + 1)
        results[query, 3], results[query, 4] = matches[nearest], near[nearest]


@njit(nogil=True, cache=True)
def _average_precision(distances, near, left_out) -> float:  # type: ignore[no-untyped-def]
    """Return the mean, over the matches' sorted distances `near`, of the precision within each."""
    within = np.zeros(len(near), dtype=np.int64)  # first a histogram, then its running sum
    for distance in distances:
        if distance <= near[-1]:
            within[np.searchsorted(near, distance)] += 1
    for image in left_out:
        if distances[image] <= near[-1]:
            within[np.searchsorted(near, distances[image])] -= 1
    within = np.cumsum(within)
    found = np.searchsorted(near, near, "right")
    return float((found / within[found - 1]).mean())


@njit(nogil=True, cache=True)
def _place(distances, image, left_out) -> int:  # type: ignore[no-untyped-def]
    """Return how many ranked images precede `image`; ties in gallery order."""
    limit, place = distances[image], 0
    for other in range(image):
        place += distances[other] <= limit
    for other in range(image + 1, len(distances)):
        place += distances[other] < limit
    for other in left_out:
        place -= distances[other] < limit or (distances[other] == limit and other < image)
    return place
