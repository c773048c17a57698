"""Cross agreement of global and part features (paper, section 3.2)."""

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.int32]

BLOCK_ROWS = 8192


def cross_agreement(ranks: Ranks, part_ranks: list[Ranks]) -> NDArray[np.float32]:
    """Return |G & G_p| / |G | G_p| for each image and part, float32 [N, P] in [0, 1].

    `ranks` are the neighbours by the global feature, int32 [N, k + 1], the image itself first;
    `part_ranks` those by the feature of each part.
    """
    scores = np.empty((len(ranks), len(part_ranks)), np.float32)
    for part, others in enumerate(part_ranks):
        scores[:, part] = _overlap(ranks[:, 1:], others[:, 1:])
    return scores


def _overlap(a: Ranks, b: Ranks) -> NDArray[np.float32]:
    """Return the Jaccard index of each pair of rows [N, k] of distinct numbers."""
    shared = np.empty(len(a), np.float32)
    for start in range(0, len(a), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        shared[block] = (a[block, :, None] == b[block, None, :]).sum((1, 2))
    score: NDArray[np.float32] = shared / (a.shape[1] + b.shape[1] - shared)
    return score
