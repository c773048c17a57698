"""A closer look at an evaluation, for pictures: every query's score, its nearest images, distances.

The distances are seen block by block, as in the evaluation itself; none is kept but those shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.parallel import Lists
from pplr_cli.retrieval.nearest import Nearest, Ranked
from pplr_cli.retrieval.ranking import Ids, Scores, measure, ranking_blocks, summary
from pplr_cli.retrieval.separation import PairCounter, Separation


@dataclass(frozen=True, eq=False)
class Survey:
    """What an evaluation of Q queries found.

    Attributes:
        scores: the means.
        precision: float64 [Q], average precision; NaN where a query has no match.
        place: float64 [Q], place of the first match, from 0; NaN likewise.
        ranked: the nearest gallery images of each query; those of its own identity and camera
            are left out.
        separation: the distances of same and of different identities.
    """

    scores: Scores
    precision: NDArray[np.float64]
    place: NDArray[np.float64]
    ranked: Ranked
    separation: Separation


class _Watcher(Protocol):
    def see(self, block: NDArray[np.float32], first: int) -> None: ...


def survey(
    query: Tensor,
    gallery: Tensor,
    query_ids: Ids,
    gallery_ids: Ids,
    query_cams: Ids,
    gallery_cams: Ids,
    *,
    top: int,
    rerank: bool = False,
    budget: int = LARGEST_BLOCK,
) -> Survey:
    """Evaluate as `ranking.evaluate` does, and keep each query's `top` nearest gallery images.

    The features must have length 1; the other arguments are those of `ranking.evaluate`.

    Raises:
        DataError: a feature is not finite, or no query has a match.
    """
    labels = (query_ids, gallery_ids, query_cams, gallery_cams)
    matches, left_out = _own_images(*labels)
    nearest = Nearest(top, left_out)
    pairs = PairCounter(matches, left_out, squared=not rerank)
    blocks = ranking_blocks(query, gallery, rerank=rerank, budget=budget)
    results = measure(_watched(blocks, nearest, pairs), *labels)
    precision, place, _ = results.T
    return Survey(summary(results), precision, place, nearest.ranked, pairs.separation)


def _watched(
    blocks: Iterable[NDArray[np.float32]], *watchers: _Watcher
) -> Iterator[NDArray[np.float32]]:
    """Show each block to the watchers on its way."""
    first = 0
    for block in blocks:
        for watcher in watchers:
            watcher.see(block, first)
        yield block
        first += len(block)


def _own_images(
    query_ids: Ids, gallery_ids: Ids, query_cams: Ids, gallery_cams: Ids
) -> tuple[Lists, Lists]:
    """Return each query's gallery images of its identity: by other cameras, and by its own."""
    order = np.argsort(gallery_ids, kind="stable")
    begin = np.searchsorted(gallery_ids, query_ids, "left", sorter=order)
    end = np.searchsorted(gallery_ids, query_ids, "right", sorter=order)
    matches, left_out = [], []
    for query, camera in enumerate(query_cams):
        own = order[begin[query] : end[query]]
        same_camera = gallery_cams[own] == camera
        matches.append(own[~same_camera])
        left_out.append(own[same_camera])
    return Lists.of(matches), Lists.of(left_out)
