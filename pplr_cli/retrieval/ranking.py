"""How well a ranking of the gallery finds the queries' identities: mAP, CMC and mINP.

Nothing is sorted but the distances of the matches: what the scores need is how many gallery
images are nearer than each match, and one pass over a row of distances counts that.
"""

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.errors import DataError
from pplr_cli.parallel import by_rows
from pplr_cli.retrieval.distance import distance_blocks
from pplr_cli.retrieval.rerank import reranked_blocks

TOP = 50
"""Ranks that the cumulative matching characteristic covers."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval scores over all evaluated queries, each from 0 to 1.

    Attributes:
        mAP: mean average precision (scikit-learn's definition: tied distances share a threshold).
        cmc: float64 [TOP], share of queries whose first match stands among the first k + 1.
        mINP: mean inverse negative penalty, matches / rank of the last match (Ye et al., "Deep
            Learning for Person Re-identification", TPAMI 2021, equation 4).
        queries: how many queries were evaluated.
        skipped: how many had no match by another camera, and were left out.
    """

    mAP: float  # noqa: N815
    cmc: NDArray[np.float64]
    mINP: float  # noqa: N815
    queries: int
    skipped: int

    def rank(self, k: int) -> float:
        """Return the share of queries with a match among the first `k` (1 to TOP)."""
        return float(self.cmc[k - 1])


def evaluate(
    query: Tensor,
    gallery: Tensor,
    query_ids: Ids,
    gallery_ids: Ids,
    query_cams: Ids,
    gallery_cams: Ids,
    *,
    rerank: bool = False,
    budget: int = LARGEST_BLOCK,
) -> Scores:
    """Rank the gallery for every query by squared distance and score the rankings.

    Args:
        query: float32 [Q, D] features on any device.
        gallery: float32 [G, D] features on the same device.
        query_ids: int64 [Q] identities; likewise `gallery_ids` [G].
        gallery_ids: see `query_ids`.
        query_cams: int64 [Q] cameras; likewise `gallery_cams` [G].
        gallery_cams: see `query_cams`.
        rerank: whether to rank by k-reciprocal re-ranked distances instead.
        budget: bytes that a block of distances may take.

    Raises:
        DataError: a feature is not finite, or no query has a match.
    """
    blocks = ranking_blocks(query, gallery, rerank=rerank, budget=budget)
    return score(blocks, query_ids, gallery_ids, query_cams, gallery_cams)


def ranking_blocks(
    query: Tensor, gallery: Tensor, *, rerank: bool = False, budget: int = LARGEST_BLOCK
) -> Iterator[NDArray[np.float32]]:
    """Yield what the gallery is ranked by, as blocks [B, G] of consecutive queries.

    Squared distances, or re-ranked ones; the arguments are those of `evaluate`.

    Raises:
        DataError: a feature is not finite.
    """
    for name, features in (("query", query), ("gallery", gallery)):
        if not bool(torch.isfinite(features).all()):
            raise DataError(f"the {name} features hold values that are not finite")
    return (reranked_blocks if rerank else distance_blocks)(query, gallery, budget=budget)


def score(
    blocks: Iterable[NDArray[np.float32]],
    query_ids: Ids,
    gallery_ids: Ids,
    query_cams: Ids,
    gallery_cams: Ids,
) -> Scores:
    """Score rankings by the distances of consecutive queries, given as blocks [B, G].

    Raises:
        DataError: no query has a match.
    """
    return summary(measure(blocks, query_ids, gallery_ids, query_cams, gallery_cams))


def measure(
    blocks: Iterable[NDArray[np.float32]],
    query_ids: Ids,
    gallery_ids: Ids,
    query_cams: Ids,
    gallery_cams: Ids,
) -> NDArray[np.float64]:
    """Return each query's average precision, place of its first match and inverse negative penalty.

    For each query the gallery images of its own identity *and* camera are left out. The place
    (from 0) and the penalty put tied distances in the order of the gallery. float64 [Q, 3], NaN
    where a query has no match.
    """
    # the gallery in order of identity: a query's own images stand from begin to end
    order = np.argsort(gallery_ids, kind="stable")
    begin = np.searchsorted(gallery_ids, query_ids, "left", sorter=order)
    end = np.searchsorted(gallery_ids, query_ids, "right", sorter=order)
    results = np.empty((len(query_ids), 3))
    _expect((len(query_cams), len(gallery_cams)), results, gallery_ids)
    first, shared = 0, (order, begin, end, query_cams, gallery_cams, results)
    for block in blocks:
        _expect(block.shape, results[first : first + len(block)], gallery_ids)
        by_rows(lambda rows, query: _score_rows(rows, query, *shared), block, first)
        first += len(block)
    _expect((first, len(gallery_ids)), results, gallery_ids)
    return results


def _expect(sizes: tuple[int, ...], queries: Sized, gallery: Sized) -> None:
    """Refuse numbers of queries and gallery images that differ: compiled code does not check."""
    if sizes != (len(queries), len(gallery)):
        raise ValueError(f"{sizes} is not {len(queries)} queries, {len(gallery)} gallery images")


def summary(results: NDArray[np.float64]) -> Scores:
    """Average the rows of `measure`.

    Raises:
        DataError: no query has a match.
    """
    precision, place, penalty = results[~np.isnan(results[:, 0])].T
    queries, skipped = len(precision), len(results) - len(precision)
    if queries == 0:
        raise DataError(
            f"none of the {skipped} query images has a gallery image of its identity by another "
            "camera: nothing to evaluate",
            "check that query and gallery come from the same data set",
        )
    found = np.bincount(place.astype(np.int64), minlength=TOP)[:TOP]
    return Scores(
        mAP=float(precision.mean()),
        cmc=found.cumsum() / queries,
        mINP=float(penalty.mean()),
        queries=queries,
        skipped=skipped,
    )


@njit(nogil=True, cache=True)
def _score_rows(
    distances: NDArray[np.float32],
    first: int,
    order: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    query_cams: Ids,
    gallery_cams: Ids,
    results: NDArray[np.float64],
) -> None:
    """Score the queries from number `first` on; `distances` [b, G] are theirs.

    `order[begin[q]:end[q]]` are the gallery images of query q's identity. Fills `results[q]`:
    average precision, place of the first match (from 0), inverse negative penalty; or NaN.
    """
    for row in range(len(distances)):
        query = first + row
        own = order[begin[query] : end[query]]
        same_camera = gallery_cams[own] == query_cams[query]
        matches, junk = own[~same_camera], own[same_camera]
        if len(matches) == 0:
            results[query] = np.nan
            continue
        near = distances[row][matches]
        last = matches[len(near) - 1 - np.argmax(near[::-1])]
        results[query, 0] = _average_precision(distances[row], np.sort(near), junk)
        results[query, 1] = _place(distances[row], matches[np.argmin(near)], junk)
        results[query, 2] = len(matches) / (_place(distances[row], last, junk) + 1)


@njit(nogil=True, cache=True)
def _average_precision(
    distances: NDArray[np.float32], near: NDArray[np.float32], junk: NDArray[np.int64]
) -> float:
    """Return the mean, over the matches' sorted distances `near`, of the precision within each."""
    within = np.zeros(len(near), dtype=np.int64)  # first as a histogram: where each image counts
    for distance in distances:
        if distance <= near[-1]:
            within[np.searchsorted(near, distance)] += 1
    for image in junk:
        if distances[image] <= near[-1]:
            within[np.searchsorted(near, distances[image])] -= 1
    within = np.cumsum(within)
    found = np.searchsorted(near, near, "right")
    return float((found / within[found - 1]).mean())


@njit(nogil=True, cache=True)
def _place(distances: NDArray[np.float32], image: int, junk: NDArray[np.int64]) -> int:
    """Return how many gallery images but junk stand before `image`, ties in gallery order."""
    limit, place = distances[image], 0
    for other in range(image):
        place += distances[other] <= limit
    for other in range(image + 1, len(distances)):
        place += distances[other] < limit
    for other in junk:
        place -= distances[other] < limit or (distances[other] == limit and other < image)
    return place
