"""Choose the pairs of images whose answers would change the clusters most.

A question is about two parts of the clustering: two tracks or, without tracks, two groups of
images that are nearly alike. For two parts of one cluster, "different" would separate them; for two
parts of different clusters, "same" would join them. The probability of that answer depends on how
alike the parts are, compared with the nearest part in their own clusters and outside. It is
multiplied by the change of the F-score over image pairs. With T right ones among the P pairs that
share a cluster, and R that should, F = 2 T / (P + R): a right pair more is worth (2 - F) / (P + R),
a wrong pair less F / (P + R). A track that is alone after an answer is an outlier: the pairs within
it are lost; those within an outlier are won when it is joined.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.tracks import align_cameras, scaled, track_means

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PART = 16
"""Images of one part at most: about half of a cluster of two identities."""
NEAR = 20
"""Nearest tracks that a track is compared with."""
LARGE = 100
"""Parts of a cluster that all its parts are compared with."""
CLEAR = 2
"""How sharply the probability falls: its scale is half of the spread of the differences."""
FIRMER = 0.75
"""Weight of the firmer of two parts in what a join is compared with; the other has the rest."""

F_SCORE = 0.8
"""F-score that is assumed of the clusters: a right pair more counts 1.5 wrong pairs less."""


class Parts(NamedTuple):
    """P parts of the clusters, and how alike some of them are."""

    of: Ints  # part of each image, int64 [N]
    centres: Ints  # the most central image of each part, int64 [P]
    pairs: Ints  # parts i < j that can be asked about, int64 [Q, 2]
    alike: Floats  # how alike they are, float64 [Q]; larger = more
    # whether they are tracks, which are joined above 0 and are no cluster alone
    tracks: bool = False


def questions(parts: Parts, labels: Ints) -> tuple[Ints, Floats]:
    """Return pairs of images int64 [Q, 2], and the expected change of each; largest first.

    The change is one of F-score times P + R, a number of image pairs.

    Args:
        parts: of the N images.
        labels: cluster of each image, int64 [N].
    """
    clusters, one, other = labels[parts.centres], *parts.pairs.T
    inside = (clusters[one] == clusters[other]) & (clusters[one] != OUTLIER)
    count = len(clusters)
    own, beyond = (_largest(parts, count, chosen) for chosen in (inside, ~inside))
    both = np.isfinite(own) & np.isfinite(beyond)
    middle, spread = 0.0, 1.0
    if both.any():
        middle = (np.median(own[both]) + np.median(beyond[both])) / 2
        spread = float(np.std(own[both] - beyond[both])) / CLEAR or 1.0
    own = np.where(np.isfinite(own), own, 0.0 if parts.tracks else middle)
    beyond = np.where(np.isfinite(beyond), beyond, middle)
    ends = np.sort((own[one], own[other]), 0)
    joins = parts.alike - FIRMER * ends[1] - (1 - FIRMER) * ends[0]
    divides = (beyond[one] + beyond[other]) / 2 - parts.alike
    probability = 1 / (1 + np.exp(-np.clip(np.where(inside, divides, joins) / spread, -40, 40)))
    change = probability * _value(parts, clusters, inside)
    order = np.argsort(-change, kind="stable")
    return parts.centres[parts.pairs[order]], change[order]


def _value(parts: Parts, clusters: Ints, inside: NDArray[np.bool_]) -> Floats:
    """Return what each pair's answer is worth if it changes the clusters, float64 [Q]."""
    one, other = parts.pairs.T
    sizes = np.bincount(parts.of, minlength=len(clusters))
    pairs, within = sizes[one] * sizes[other], sizes * (sizes - 1) // 2
    alone = np.where(clusters == OUTLIER, within, 0)
    members = np.bincount(clusters + 1)[clusters + 1]
    lost = np.where(parts.tracks & (members[one] == 2), within[one] + within[other], 0)
    divide = np.maximum(F_SCORE * pairs - (2 - F_SCORE) * lost, 0)
    join: Floats = (2 - F_SCORE) * (pairs + alone[one] + alone[other])
    return np.where(inside, divide, join)


def _largest(parts: Parts, count: int, chosen: NDArray[np.bool_]) -> Floats:
    """Return how alike each part and its nearest one are among the chosen pairs; -inf if none."""
    found = np.full(count, -np.inf)
    for side in (0, 1):
        np.maximum.at(found, parts.pairs[chosen, side], parts.alike[chosen])
    return found


def parts_of_tracks(features: Tensor, tracks: Tracks, labels: Ints, k: int) -> Parts:
    """Return the tracks as parts, each with its nearest tracks and those of its cluster.

    Args:
        features: global features float32 [N, D], L2-normalised.
        tracks: of the N images.
        labels: cluster of each image, int64 [N].
        k: as for the clustering.
    """
    vectors = align_cameras(track_means(features, tracks), tracks)
    left, right, near = scaled(vectors, tracks, k, NEAR)
    centres = _centres(tracks.of, torch.einsum("nd,nd->n", features, vectors[tracks.of]))
    pairs = _distinct(np.concatenate((near.cpu().numpy(), _inside(labels[centres]))))
    alike = torch.einsum("qd,qd->q", left[pairs[:, 0]], right[pairs[:, 1]])
    return Parts(tracks.of, centres, pairs, alike.double().cpu().numpy(), tracks=True)


def parts_of_images(similarity: csr_array, labels: Ints) -> Parts:
    """Return groups of at most `PART` images of one cluster as parts; an outlier is one.

    Args:
        similarity: float32 CSR [N, N], 0 where nothing is stored.
        labels: cluster of each image, int64 [N].
    """
    of = _divide(similarity, labels)
    shares = (1 / np.bincount(of)[of]).astype(np.float32)
    means = csr_array((shares, (of, np.arange(len(of)))))
    to_parts = similarity @ means.T.tocsr()
    centres = _centres(of, torch.from_numpy(_values(to_parts, np.arange(len(of)), of)))
    alike = (means @ to_parts).tocsr()
    stored = np.stack(alike.nonzero(), 1).astype(np.int64)
    pairs = _distinct(np.concatenate((stored, _inside(labels[centres]))))
    return Parts(of, centres, pairs, _values(alike, *pairs.T).astype(np.float64))


def _values(matrix: csr_array, rows: Ints, columns: Ints) -> NDArray[np.float32]:
    return np.asarray(matrix[rows, columns], np.float32).ravel()


def _distinct(pairs: Ints) -> Ints:
    """Return the pairs [Q, 2] of different numbers, each once and as i < j."""
    pairs = np.sort(pairs, 1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def _centres(of: Ints, typical: Tensor) -> Ints:
    """Return the most typical image of each part, int64 [P]."""
    order = np.lexsort((-typical.cpu().numpy(), of))
    first: Ints = order[np.unique(of[order], return_index=True)[1]]
    return first


def _inside(clusters: Ints) -> Ints:
    """Return the pairs of parts of one cluster; of a large one, those with its first `LARGE`."""
    pairs = [np.empty((0, 2), np.int64)]
    for cluster in range(int(clusters.max(initial=OUTLIER)) + 1):
        members = np.flatnonzero(clusters == cluster)
        first = members[:LARGE]
        pairs.append(np.stack((first.repeat(len(members)), np.tile(members, len(first))), 1))
    return np.concatenate(pairs)


def _divide(similarity: csr_array, labels: Ints) -> Ints:
    """Return the part of each image, int64 [N]: clusters halved until all are small."""
    clusters = range(int(labels.max(initial=OUTLIER)) + 1)
    pending = [np.flatnonzero(labels == cluster) for cluster in clusters]
    of, count = np.empty(len(labels), np.int64), 0
    while pending:
        members = pending.pop()
        if len(members) > PART:
            side = _halves(similarity[members][:, members])
            pending += [members[side], members[~side]]
        else:
            of[members], count = count, count + 1
    outliers = np.flatnonzero(labels == OUTLIER)
    of[outliers] = count + np.arange(len(outliers))
    return of


def _halves(similarity: csr_array) -> NDArray[np.bool_]:
    """Divide M images into those like one image and those like another, bool [M].

    The two begin far apart and move to the most typical image of their half (k-medoids, k = 2).
    """
    total = np.asarray(similarity.sum(1)).ravel()
    one = int(total.argmin())
    other = int(similarity[[one]].toarray()[0].argmin())
    other = other if other != one else (one + 1) % len(total)
    side = np.empty(len(total), bool)
    for _ in range(5):
        to_one, to_other = similarity[[one, other]].toarray()
        side = to_other > to_one
        side[one], side[other] = False, True
        before = one, other
        one, other = (
            int(np.where(half, similarity @ half.astype(np.float32), -1).argmax())
            for half in (~side, side)
        )
        if (one, other) == before:
            break
    return side
