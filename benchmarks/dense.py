"""The label stage, re-ranking and scores directly from their definitions: slow and obvious.

Uses N x N matrices and Python loops. The reference of tests and benchmarks.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN
from sklearn.metrics import average_precision_score

Array = NDArray[np.float32]
Ranks = NDArray[np.int64]
Ids = NDArray[np.int64]


TIE = 1e-5
"""Rounding decides whether pairs this near to eps are neighbours: with eps = 0.5 and k2 = 6 there
are many such pairs."""


def squared_distances(a: Array, b: Array) -> Array:
    """Return |a_i - b_j|^2, [N, M]."""
    return (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T


def ranks(features: Array) -> Ranks:
    """Return all images in order of distance, each image itself first, [N, N]."""
    distances = squared_distances(features, features)
    np.fill_diagonal(distances, -np.inf)
    return distances.argsort(axis=1, kind="stable")


def reciprocal(rank: Ranks, i: int, columns: int) -> set[int]:
    """Return the j among the first columns of row i that have i among theirs."""
    return {int(j) for j in rank[i, :columns] if i in rank[j, :columns]}


def expanded(rank: Ranks, i: int, full: int, half: int) -> list[int]:
    """Return E(i) in ascending order."""
    own = reciprocal(rank, i, full)
    result = set(own)
    for candidate in own:
        other = reciprocal(rank, candidate, half)
        if len(other & own) > 2 / 3 * len(other):
            result |= other
    return sorted(result)


def encoding(features: Array, rank: Ranks, k1: int) -> Array:
    """Return V [N, N]: softmax of -|f_i - f_j|^2 over E(i)."""
    n = len(rank)
    v = np.zeros((n, n), np.float32)
    for i in range(n):
        members = expanded(rank[:, :k1], i, k1, round(k1 / 2) + 1)
        logits = -(2 - 2 * features[members] @ features[i])
        weights = np.exp(logits - logits.max())
        v[i, members] = weights / weights.sum()
    return v


def averaged(v: Array, rank: Ranks, k2: int) -> Array:
    """Return the mean of V over each image's first k2 neighbours."""
    if k2 == 1:
        return v
    rows = [np.mean(v[rank[i, :k2]], axis=0, dtype=np.float32) for i in range(len(v))]
    return np.stack(rows)


def jaccard(v: Array, rows: int | None = None) -> Array:
    """Return d = 1 - m / (2 - m) of the first `rows` images (default: all) and all, [rows, N]."""
    n = len(v)
    distances = np.empty((n if rows is None else rows, n), np.float32)
    for i in range(len(distances)):
        overlap = np.zeros(n, np.float32)
        for c in np.flatnonzero(v[i]):
            overlap += np.minimum(v[i, c], v[:, c])
        distances[i] = 1 - overlap / (2 - overlap)
    return distances.clip(0)


def jaccard_distance(features: Array, rank: Ranks, k1: int, k2: int) -> Array:
    """Return the k-reciprocal Jaccard distance of all pairs, [N, N]."""
    return jaccard(averaged(encoding(features, rank, k1), rank, k2))


def camera_jaccard_distance(
    features: Array, cameras: Ids, k1: tuple[int, int], k2: tuple[int, int]
) -> Array:
    """Return the camera-aware Jaccard distance (Chen et al., CVPR 2024) of all pairs, [N, N].

    k1 and k2 count images of the own camera, the image itself included, and of other cameras.
    """
    rank, v = ranks(features), np.zeros((len(features),) * 2, np.float32)
    own = [[j for j in row if cameras[j] == cameras[row[0]]] for row in rank]
    others = [[j for j in row if cameras[j] != cameras[row[0]]] for row in rank]
    for i in range(len(rank)):
        members = {j for j in own[i][: k1[0]] if i in own[j][: k1[0]]}
        members |= {j for j in others[i][: k1[1]] if i in others[j][: k1[1]]}
        order = sorted(members)
        weights = np.exp(2 * features[order] @ features[i] - 2)
        v[i, order] = weights / weights.sum()
    near = [[*own[i][: k2[0]], *others[i][: k2[1]]] for i in range(len(rank))]
    return jaccard(np.stack([v[each].mean(axis=0, dtype=np.float32) for each in near]))


def cluster(distances: Array, eps: float, min_samples: int) -> NDArray[np.int64]:
    """Return scikit-learn's DBSCAN labels on the dense matrix."""
    model = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed")
    return np.asarray(model.fit_predict(distances.astype(np.float64)), np.int64)


def agreement(rank: Ranks, part_ranks: list[Ranks], k: int) -> Array:
    """Return |G & G_p| / |G | G_p| of the k other images, [N, P]."""
    scores = np.zeros((len(rank), len(part_ranks)), np.float32)
    for i in range(len(rank)):
        own = set(rank[i, 1 : k + 1])
        for p, part in enumerate(part_ranks):
            other = set(part[i, 1 : k + 1])
            scores[i, p] = len(own & other) / len(own | other)
    return scores


def rerank(query: Array, gallery: Array, k1: int = 20, k2: int = 6, weight: float = 0.3) -> Array:
    """Return the k-reciprocal re-ranked distances, [Q, G]."""
    features = np.concatenate((query, gallery))
    plain = squared_distances(features, features) ** 2
    plain /= plain.max(axis=1, keepdims=True)
    rank = plain.argsort(axis=1, kind="stable")
    v = np.zeros_like(plain)
    for i in range(len(features)):
        members = expanded(rank, i, k1 + 1, round(k1 / 2) + 1)
        v[i, members] = np.exp(-plain[i, members])
        v[i] /= v[i].sum()
    distances = jaccard(averaged(v, rank, k2), len(query))
    mixed: Array = (1 - weight) * distances + weight * plain[: len(query)]
    return mixed[:, len(query) :]


def scores(
    distances: Array, query_ids: Ids, gallery_ids: Ids, query_cams: Ids, gallery_cams: Ids
) -> tuple[float, NDArray[np.float64]]:
    """Return mAP and the CMC at ranks 1 to 50."""
    precisions, first = [], []
    for q, row in enumerate(distances):
        kept = (gallery_ids != query_ids[q]) | (gallery_cams != query_cams[q])
        matches = gallery_ids[kept] == query_ids[q]
        if matches.any():
            precisions.append(average_precision_score(matches, -row[kept]))
            first.append(np.flatnonzero(matches[row[kept].argsort(kind="stable")])[0])
    cmc = (np.array(first)[:, None] <= np.arange(50)).mean(axis=0)
    return float(np.mean(precisions)), cmc
