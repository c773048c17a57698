"""A detailed evaluation for plots: each query's score, its nearest images, all distances counted.

Distances are processed in blocks, as in the plain evaluation, and not kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.retrieval.nearest import NONE, Nearest, Ranked
from pplr_cli.retrieval.ranking import Scorer, Scores, observe, ranking_blocks
from pplr_cli.retrieval.relevance import Relevance
from pplr_cli.retrieval.separation import PairCounter, Separation


@dataclass(frozen=True, eq=False)
class Survey:
    """The details of an evaluation of Q queries."""

    scores: Scores
    # float64 [Q], average precision; NaN for a query without a match
    precision: NDArray[np.float64]
    place: NDArray[np.float64]  # float64 [Q], place of the first match, from 0; NaN likewise
    first: Ranked  # the first match of each query, k = 1
    ranked: Ranked
    separation: Separation


def survey(
    query: Tensor,
    gallery: Tensor,
    relevance: Relevance,
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
    scorer, nearest = Scorer(relevance), Nearest(top, relevance.left_out)
    pairs = PairCounter(relevance, squared=not rerank)
    blocks = ranking_blocks(query, gallery, rerank=rerank, budget=budget)
    observe(blocks, relevance.shape, scorer.update, nearest.update, pairs.update)
    precision, place, _, image, distance = scorer.results.T
    images = np.nan_to_num(image, nan=NONE).astype(np.int64)
    first = Ranked(images[:, None], distance.astype(np.float32)[:, None])
    return Survey(scorer.scores, precision, place, first, nearest.ranked, pairs.separation)
