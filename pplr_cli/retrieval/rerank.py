"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) without a matrix of all pairs.

The final distance mixes the plain distance with the Jaccard distance of k-reciprocal encodings. The
latter is 1 for nearly all pairs, so only the others are stored. As in the official release, the
squared distances are squared once more, and the sets use one column more than in the label stage.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK
from pplr_cli.labelling import kernels
from pplr_cli.labelling.jaccard import BLOCK_ROWS, average_rows, reciprocal_sets, set_distance
from pplr_cli.labelling.neighbors import itself_first
from pplr_cli.parallel import by_blocks
from pplr_cli.retrieval.distance import row_blocks, squared_distances

K1 = 20
"""Neighbours for k-reciprocity, without the image itself."""
K2 = 6
"""Encodings averaged in local query expansion."""
WEIGHT = 0.3
"""Weight (lambda) of the plain distance; that of the Jaccard distance is 1 - lambda."""


def reranked_blocks(
    query: Tensor, gallery: Tensor, *, budget: int = LARGEST_BLOCK
) -> Iterator[NDArray[np.float32]]:
    """Yield the re-ranked distances of consecutive queries, [B, G] in at most `budget` bytes."""
    features = torch.cat((query, gallery))
    ranks, farthest = _neighbors(features, min(K1 + 1, len(features)), budget)
    encoding = average_rows(_encode(features, ranks, farthest), ranks[:, :K2])
    jaccard = set_distance(encoding[: len(query)], encoding[len(query) :], 1.0)
    for rows in row_blocks(len(query), len(gallery), budget):
        plain = squared_distances(query[rows], gallery).square_() / farthest[rows, None]
        block: NDArray[np.float32] = plain.mul_(WEIGHT).add_(1 - WEIGHT).cpu().numpy()
        near = jaccard[rows].tocoo()
        block[near.coords] -= np.float32(1 - WEIGHT) * (1 - near.data)
        yield block


def _neighbors(features: Tensor, k: int, budget: int) -> tuple[NDArray[np.int32], Tensor]:
    """Return the k nearest images of each, itself first, and its largest distance (squared twice).

    int32 [M, k] on the CPU and float32 [M] on the features' device, from one pass.
    """
    ranks, farthest = [], []
    for rows in row_blocks(len(features), len(features), budget):
        distances = squared_distances(features[rows], features).square_()
        ranks.append(distances.topk(k, largest=False).indices.int().cpu())
        farthest.append(distances.amax(1))
    smallest = torch.finfo(torch.float32).tiny  # if all images are equal
    return itself_first(torch.cat(ranks).numpy()), torch.cat(farthest).clamp_min_(smallest)


def _encode(features: Tensor, ranks: NDArray[np.int32], farthest: Tensor) -> csr_array:
    """Return V: exp(-D') over each image's expanded k-reciprocal set, divided by its sum."""
    k = ranks.shape[1]
    members = reciprocal_sets(ranks, full=k, half=min(round(K1 / 2) + 1, k))
    vectors, largest = features.cpu().numpy(), farthest.cpu().numpy()
    indices, indptr = members.indices, members.indptr

    def weigh(a: int, b: int) -> NDArray[np.float32]:
        block: NDArray[np.float32] = _weights(vectors, largest, indices, indptr, a, b)
        return block

    weights = by_blocks(len(vectors), weigh, BLOCK_ROWS)
    return csr_array((np.concatenate(weights), indices, indptr), shape=members.shape)


@kernels.kernel
def _weights(features, farthest, indices, indptr, first, end):  # type: ignore[no-untyped-def]
    """Return exp(-D'[i, j]) over the members j of the rows first to end, normalised to sum 1."""
    offset = indptr[first]
    out = np.empty(indptr[end] - offset, np.float32)
    for i in range(first, end):
        row = out[indptr[i] - offset : indptr[i + 1] - offset]
        for t in range(len(row)):
            difference = features[i] - features[indices[indptr[i] + t]]
            row[t] = np.exp(-(kernels.dot(difference, difference) ** 2) / farthest[i])
        row /= row.sum()
    return out
