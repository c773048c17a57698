"""Sparse k-reciprocal Jaccard distance (Zhong et al., CVPR 2017; paper, section 4.1).

No N x N matrix: each image's k-reciprocal encoding V[i] has some dozens of entries, and only the
pairs that share one of them have a distance below 1. Every step is a loop over blocks of rows in
compiled code, on as many threads as torch uses. All sums run in float32 in the official order:
with eps = 0.5 and k2 = 6, pairs that share exactly four of their six rows sit on the threshold.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pplr_cli.labelling import kernels
from pplr_cli.parallel import by_blocks

Ranks = NDArray[np.int32]
Floats = NDArray[np.float32]

BLOCK_ROWS = 1024


def jaccard_distance(
    features: Floats, ranks: Ranks, k1: int, k2: int, max_distance: float
) -> csr_array:
    """Return the Jaccard distances of at most `max_distance`, explicit zeros included.

    Args:
        features: float32 [N, D], L2-normalised.
        ranks: int32 [N, >= k1], nearest neighbours, each image first in its own row.
        k1: neighbours that k-reciprocity looks at, the image itself included.
        k2: rows averaged in local query expansion; 1 = none.
        max_distance: largest distance kept, below 1.

    Returns:
        float32 CSR [N, N], symmetric, indices sorted, the diagonal stored.
    """
    ranks = np.ascontiguousarray(ranks[:, :k1])
    members = reciprocal_sets(ranks, full=k1, half=round(k1 / 2) + 1)
    encoding = csr_array(
        (_similarity_softmax(features, members), members.indices, members.indptr),
        shape=members.shape,
    )
    encoding = average_rows(encoding, ranks[:, :k2])
    return set_distance(encoding, encoding, max_distance)


def reciprocal_sets(ranks: Ranks, full: int, half: int) -> csr_array:
    """Return the expanded k-reciprocal set E(i) of each image as the pattern of a CSR matrix.

    R(i, k) holds the j among the first k columns of row i that have i among theirs. E(i) is
    R(i, full) joined with every R(c, half), c in R(i, full), of which R(i, full) holds more than
    two thirds.

    Args:
        ranks: int32 [N, >= full].
        full: columns that the full set looks at.
        half: columns that the half set looks at.
    """
    columns = np.ascontiguousarray(ranks[:, :full])
    blocks = by_blocks(len(ranks), lambda a, b: kernels.expand(columns, half, a, b), BLOCK_ROWS)
    return _stack([(*block, np.ones(len(block[1]), np.float32)) for block in blocks], len(ranks))


def average_rows(encoding: csr_array, ranks: Ranks) -> csr_array:
    """Replace row i by the mean of the rows that `ranks` [N, k2] names (local query expansion)."""
    if ranks.shape[1] == 1:
        return encoding
    rows = np.ascontiguousarray(ranks)
    data, indices, indptr = encoding.data, encoding.indices, encoding.indptr
    n = len(ranks)
    blocks = by_blocks(
        n, lambda a, b: kernels.average(data, indices, indptr, rows, a, b), BLOCK_ROWS
    )
    return _stack(blocks, n)


def set_distance(encoding: csr_array, others: csr_array, max_distance: float) -> csr_array:
    """Return d = 1 - m / (2 - m), m = sum over c of min(V[i, c], W[j, c]), where d is small.

    Args:
        encoding: CSR [M, N], the rows V[i], each of sum 1.
        others: CSR [L, N], the rows W[j], each of sum 1.
        max_distance: largest distance kept; at 1 all pairs that share an entry are.

    Returns:
        float32 CSR [M, L], indices sorted. Distances below 0 (rounding) become 0.
    """
    rows, size = len(encoding.indptr) - 1, len(others.indptr) - 1
    columns = others.tocsc()
    by_row = (encoding.data, encoding.indices, encoding.indptr)
    by_column = (columns.data, columns.indices, columns.indptr)
    limit = np.float32(max_distance)
    blocks = by_blocks(
        rows, lambda a, b: kernels.distances(by_row, by_column, size, limit, a, b), BLOCK_ROWS
    )
    return _stack(blocks, size)


def _similarity_softmax(features: Floats, members: csr_array) -> Floats:
    """Return softmax over E(i) of -|f_i - f_j|^2 for unit features, in the order of `members`."""
    vectors = np.ascontiguousarray(features, dtype=np.float32)
    indices, indptr = members.indices, members.indptr
    blocks = by_blocks(
        len(vectors), lambda a, b: kernels.softmax(vectors, indices, indptr, a, b), BLOCK_ROWS
    )
    return np.concatenate(blocks)


def _stack(blocks: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]], n: int) -> csr_array:
    """Join blocks of (row lengths, indices, data) to one CSR matrix of `n` columns."""
    lengths, indices, data = (np.concatenate(part) for part in zip(*blocks, strict=True))
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    return csr_array((data, indices, indptr), shape=(len(lengths), n))
