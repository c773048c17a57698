"""Sparse k-reciprocal Jaccard distance (Zhong et al., CVPR 2017; paper, section 4.1).

No N x N matrix: each image's k-reciprocal encoding V[i] has some dozens of entries, and only the
pairs that share one of them have a distance below 1. Every step is a compiled loop over blocks of
rows, on as many threads as torch uses. All sums run in float32 in the official order: with
eps = 0.5 and k2 = 6, pairs that share exactly four of their six rows are exactly at the threshold.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pplr_cli.labelling import kernels
from pplr_cli.parallel import by_blocks

Ranks = NDArray[np.int32]
Floats = NDArray[np.float32]

BLOCK_ROWS = 1024
MOST_BLOCKS = 128
"""Of more rows: each block has scratch arrays of N entries."""
LEFT_OUT = 0.85
"""Share of a pair's least common weight that may be in columns which are not searched for pairs."""
MARGIN = 1e-4
"""Above the rounding error of a common weight."""


def jaccard_distance(features: Floats, ranks: Ranks, k1: int, k2: int, eps: float) -> csr_array:
    """Return the Jaccard distances of at most `eps`, explicit zeros included.

    Args:
        features: float32 [N, D], L2-normalised.
        ranks: int32 [N, >= k1], nearest neighbours, each image first in its own row.
        k1: neighbours that k-reciprocity looks at, the image itself included.
        k2: rows averaged in local query expansion; 1 = none.
        eps: below 1.

    Returns:
        float32 CSR [N, N], symmetric, indices sorted, the diagonal stored.
    """
    ranks = np.ascontiguousarray(ranks[:, :k1])
    members = reciprocal_sets(ranks, full=k1, half=round(k1 / 2) + 1)
    vectors = np.ascontiguousarray(features, dtype=np.float32)
    pattern = (members.indices, members.indptr)
    weights = np.concatenate(_run(kernels.softmax, len(vectors), vectors, *pattern))
    encoding = csr_array((weights, *pattern), shape=members.shape)
    encoding = average_rows(encoding, ranks[:, :k2])
    return near_distance(encoding, eps)


def camera_jaccard_distance(
    features: Floats, own: Ranks, others: Ranks, k2_own: int, k2_others: int, eps: float
) -> csr_array:
    """Return the camera-aware Jaccard distances of at most `eps` (Chen et al., CVPR 2024).

    R(i) joins the images that are mutual neighbours of i in the lists of its own camera and of
    other cameras. The encoding, over R(i) without expansion, is averaged over the nearest of both
    lists; the rest is the Jaccard distance. As in the published code, without its first epoch of
    k2 = 3 and 3.

    Args:
        features: float32 [N, D], L2-normalised.
        own: int32 [N, k], neighbours of the own camera, each image itself first; -1 = no more.
        others: int32 [N, l], neighbours of all other cameras; -1 = no more.
        k2_own: rows of `own` that are averaged, the image itself included.
        k2_others: rows of `others` that are averaged.
        eps: below 1.

    Returns:
        as `jaccard_distance`.
    """
    members = csr_array(_mutual(own) + _mutual(others))
    members.sort_indices()
    vectors = np.ascontiguousarray(features, dtype=np.float32)
    pattern = (members.indices, members.indptr)
    weights = np.concatenate(_run(kernels.softmax, len(vectors), vectors, *pattern))
    near = _pattern(np.concatenate((own[:, :k2_own], others[:, :k2_others]), axis=1))
    encoding = near @ csr_array((weights, *pattern), shape=members.shape)
    encoding.sort_indices()
    encoding.data /= np.repeat(np.diff(near.indptr), np.diff(encoding.indptr)).astype(np.float32)
    return near_distance(encoding, eps)


def _mutual(ranks: Ranks) -> csr_array:
    """Return the pairs of images that name each other, as ones in a CSR matrix [N, N]."""
    near = _pattern(ranks)
    return near.multiply(near.T)


def _pattern(ranks: Ranks) -> csr_array:
    """Return the images that each row names, -1 left out, as ones in a CSR matrix [N, N]."""
    known, n = ranks >= 0, len(ranks)
    indptr = np.concatenate(([0], np.cumsum(known.sum(1))))
    ones = np.ones(indptr[-1], np.float32)
    return csr_array((ones, ranks[known], indptr), shape=(n, n))


def reciprocal_sets(ranks: Ranks, full: int, half: int) -> csr_array:
    """Return the expanded k-reciprocal set E(i) of each image as the pattern of a CSR matrix.

    R(i, k) holds the j among the first k columns of row i that have i among theirs. E(i) is
    R(i, full) joined with every R(c, half), c in R(i, full), of which R(i, full) holds more than
    two thirds.
    """
    columns = np.ascontiguousarray(ranks[:, :full])
    halves = np.concatenate(_run(kernels.mutual, len(ranks), columns, half))
    blocks = _run(kernels.expand, len(ranks), columns, halves)
    return _stack([(*block, np.ones(len(block[1]), np.float32)) for block in blocks], len(ranks))


def average_rows(encoding: csr_array, ranks: Ranks) -> csr_array:
    """Replace row i by the mean of the rows that `ranks` [N, k2] names (local query expansion)."""
    if ranks.shape[1] == 1:
        return encoding
    rows, n = np.ascontiguousarray(ranks), len(ranks)
    return _stack(_run(kernels.average, n, *_arrays(encoding), rows), n)


def set_distance(encoding: csr_array, others: csr_array, eps: float) -> csr_array:
    """Return d = 1 - m / (2 - m), m = sum over c of min(V[i, c], W[j, c]), where d <= `eps`.

    V = `encoding` is CSR [M, N], W = `others` [L, N], each row of sum 1. The result is float32 CSR
    [M, L], indices sorted; distances below 0 (rounding) become 0. With `eps` = 1 all pairs that
    share an entry are kept.
    """
    rows, size = len(encoding.indptr) - 1, len(others.indptr) - 1
    given = (_arrays(encoding), _arrays(others.tocsc()), size, np.float32(eps))
    return _stack(_run(kernels.distances, rows, *given), size)


def near_distance(encoding: csr_array, eps: float) -> csr_array:
    """Return what `set_distance` returns for all pairs of rows of V, faster for small `eps`.

    Near pairs share a weight m of at least 2 (1 - eps) / (2 - eps). The columns of most entries
    cost most, and most pairs that meet in them are far apart: each row leaves out its commonest
    columns, of less weight than a share of m. Near pairs share the rest of m in the others.
    """
    common = 2 * (1 - eps) / (2 - eps) - MARGIN
    if common < 0.25:
        return set_distance(encoding, encoding, eps)
    n = len(encoding.indptr) - 1
    commonness = np.empty(n, np.int32)
    commonness[np.argsort(np.bincount(encoding.indices, minlength=n), kind="stable")] = np.arange(n)
    least = np.float32(LEFT_OUT * common)
    kept = np.concatenate(_run(kernels.suffixes, n, _arrays(encoding), commonness, least))
    indptr = np.concatenate(([0], np.cumsum(kept)))[encoding.indptr]
    searched = csr_array((encoding.data[kept], encoding.indices[kept], indptr), encoding.shape)
    limits = np.float32(eps), np.float32((1 - LEFT_OUT) * common - MARGIN)
    given = (_arrays(encoding), kept, _arrays(searched.tocsc()), n, *limits)
    return _stack(_run(kernels.near_distances, n, *given), n)


def _arrays(matrix: Any) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
    return matrix.data, matrix.indices, matrix.indptr


def _run(work: Callable[..., Any], rows: int, *given: Any) -> list[Any]:
    """Call a kernel for each block of rows; return its results in order."""
    size = max(BLOCK_ROWS, -(-rows // MOST_BLOCKS))
    return by_blocks(rows, lambda first, end: work(*given, first, end), size)


def _stack(blocks: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]], n: int) -> csr_array:
    """Join blocks of (row lengths, indices, data) to one CSR matrix of `n` columns."""
    lengths, indices, data = (np.concatenate(part) for part in zip(*blocks, strict=True))
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    return csr_array((data, indices, indptr), shape=(len(lengths), n))
