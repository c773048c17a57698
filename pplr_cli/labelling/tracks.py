"""Cluster tracks instead of images: join those that are each other's nearest, in rounds.

Images of one track are nearly alike, so that an image's nearest neighbours are its own track, and
clusters of images follow tracks and cameras. Here each track is one point, the mean of its
features, and only tracks that can be one identity are compared:

1. Cameras are aligned: the mean difference of matched tracks between cameras is subtracted, as in
   the iterative closest point algorithm (Besl and McKay, PAMI 1992).
2. Similarities are scaled locally: 2 s(i, j) - r(i) - r(j), r(i) the mean similarity of track i to
   its k nearest ones (CSLS; Conneau et al., ICLR 2018). A pair above 0 is nearer than usual.
3. Groups that are each other's nearest, by the mean over all pairs of their tracks, are joined if
   that mean is above 0; then the same among the new groups, until nothing is joined.

Tracks of one camera are never joined if their times overlap, or if a time is unknown.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling import track_search
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.constraints import Answers, connected
from pplr_cli.labelling.track_pairs import join_pairs
from pplr_cli.labelling.track_search import Mask, Spans, dense_search, nearest_tracks, sides_of
from pplr_cli.progress import SILENT, Advance

Labels = NDArray[np.int64]

ALIGNMENTS = 8
"""Rounds of matching tracks and estimating the offsets of the cameras."""
SEARCHES = ALIGNMENTS + 1
"""Of the nearest tracks, to cluster them."""


def cluster_tracks(
    features: Tensor,
    tracks: Tracks,
    k: int,
    answers: Answers | None = None,
    advance: Advance = SILENT.advance,
) -> Labels:
    """Return the cluster of each image, 0 to C - 1; `OUTLIER` where a track was not joined.

    Args:
        features: global features float32 [N, D], L2-normalised.
        tracks: of the N images.
        k: nearest tracks that give the local scale; about as many as an identity has.
        answers: about images; the tracks of "same" begin joined, those of "different" are never.
        advance: counts the tracks of each of `SEARCHES` searches.
    """
    vectors = align_cameras(track_means(features, tracks), tracks, advance)
    given = None if answers is None else answers.of(tracks.of)
    groups = join_tracks(vectors, tracks, k, given, advance)
    kept = np.bincount(groups)[groups] > 1
    labels = np.full(len(tracks), OUTLIER)
    labels[kept] = np.unique(groups[kept], return_inverse=True)[1]
    return labels[tracks.of]


def track_means(features: Tensor, tracks: Tracks) -> Tensor:
    """Return the L2-normalised mean feature of each track, [T, D], of features [N, D]."""
    at = torch.from_numpy(tracks.of).to(features.device)
    return F.normalize(_sums(features, at, len(tracks)))


def join_tracks(
    vectors: Tensor,
    tracks: Tracks,
    k: int,
    answers: Answers | None = None,
    advance: Advance = SILENT.advance,
) -> Labels:
    """Return the group of each track, int64 [T]."""
    spans, groups = Spans.of(tracks), np.arange(len(tracks))
    near, columns = nearest_tracks(vectors, spans, k, advance=advance)
    scale, different = _scale(near), np.empty((0, 2), np.int64)
    if answers is not None:
        groups, different = connected(answers.same, len(tracks)), answers.different
    if len(tracks) < track_search.MANY:
        apart = _Apart(tracks, vectors.device)
        apart.add(different)
        return _join(vectors, scale, apart, groups)
    pairs = _pairs(near, columns).cpu().numpy()
    return join_pairs(vectors.cpu(), scale[:, 0].cpu(), spans, groups, pairs, different)


def link_tracks(vectors: Tensor, tracks: Tracks, similarity: float) -> Labels:
    """Return the group of each track, int64 [T], by average linkage.

    Groups are joined while the mean product of their unit vectors is above `similarity`.
    """
    scale = vectors.new_full((len(tracks), 1), similarity)
    return _join(vectors, scale, _Apart(tracks, vectors.device), np.arange(len(tracks)))


def _join(vectors: Tensor, scale: Tensor, apart: "_Apart", groups: Labels) -> Labels:
    """Join groups that are each other's nearest, in rounds; `scale` is r, [T, 1]."""
    while True:
        at = torch.from_numpy(groups).to(vectors.device)
        count = int(at.max()) + 1
        sizes = torch.bincount(at)[:, None]
        centres, scales = (_sums(each, at, count) / sizes for each in (vectors, scale))
        best, found = dense_search(*sides_of(centres, scales), apart.mask(groups), 1)
        partner, rows = found[:, 0].cpu().numpy(), np.arange(count)
        joined = (partner[partner] == rows) & (rows < partner) & (best[:, 0] > 0).cpu().numpy()
        if not joined.any():
            return groups
        rows[partner[joined]] = rows[joined]
        groups = np.unique(rows[groups], return_inverse=True)[1]


def scaled(vectors: Tensor, tracks: Tracks, k: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tracks as two matrices [T, D + 2] whose products are the scaled similarities.

    Returns:
        the matrices, and pairs of each track and one of its `most` nearest that can be one
        identity, int64 [Q, 2].
    """
    spans = Spans.of(tracks)
    scale = _scale(nearest_tracks(vectors, spans, k)[0])
    return *sides_of(vectors, scale), _pairs(*nearest_tracks(vectors, spans, most, scale))


def _scale(near: Tensor) -> Tensor:
    """Return the mean similarity of each track to its nearest ones, [T, 1]."""
    return near.masked_fill(near.isinf(), torch.nan).nanmean(1, keepdim=True).nan_to_num()


def _pairs(near: Tensor, columns: Tensor) -> Tensor:
    """Return the tracks and those in their lists, int64 [Q, 2]."""
    row, place = near.isfinite().nonzero(as_tuple=True)
    return torch.stack((row, columns[row, place]), 1)


class _Apart:
    """Knows which groups of tracks are never one identity.

    Tracks of one camera are apart if their times overlap, or if one of the times is unknown and
    there are several cameras.
    """

    def __init__(self, tracks: Tracks, device: torch.device) -> None:
        known = tracks.cameras != UNKNOWN
        cameras, at = np.unique(tracks.cameras[known], return_inverse=True)
        self._seen = torch.zeros((len(tracks), len(cameras)), device=device)
        self._seen[torch.from_numpy(np.flatnonzero(known)), torch.from_numpy(at)] = 1
        untimed = torch.from_numpy(~tracks.timed).to(device) & (len(cameras) > 1)
        self._untimed = self._seen * untimed[:, None]
        self._overlaps = tracks.overlaps()

    def add(self, pairs: Labels) -> None:
        """Set pairs [P, 2] of tracks apart."""
        ones = np.ones(len(pairs), np.float32)
        found = csr_array((ones, tuple(pairs.T)), self._overlaps.shape)
        self._overlaps = self._overlaps + found + found.T

    def mask(self, groups: Labels) -> Mask:
        """Return the function that gives the rows [B, G] of "never one identity" of G groups."""
        count, at = int(groups.max()) + 1, torch.from_numpy(groups).to(self._seen.device)
        seen, untimed = (_sums(each, at, count) for each in (self._seen, self._untimed))
        ones = np.ones(len(groups), np.float32)
        members = csr_array((ones, (groups, np.arange(len(groups)))), (count, len(groups)))
        overlaps = (members @ self._overlaps @ members.T).tocsr()

        def mask(rows: Tensor) -> Tensor:
            shared = seen[rows] @ untimed.T + untimed[rows] @ seen.T
            dense = overlaps[rows.cpu().numpy()].toarray()
            return (shared + torch.from_numpy(dense).to(shared.device)) > 0

        return mask


def align_cameras(vectors: Tensor, tracks: Tracks, advance: Advance = SILENT.advance) -> Tensor:
    """Return the unit vectors [T, D] without the offsets of their cameras.

    The offsets come from the tracks of two cameras that are each other's nearest, those whose
    second nearest is clearly farther (the better half), by least squares with a ridge of 1.
    """
    _, cameras = np.unique(tracks.cameras, return_inverse=True)
    at = torch.from_numpy(cameras).to(vectors.device)
    known = torch.from_numpy(tracks.cameras != UNKNOWN).to(vectors.device)
    aligned, spans = vectors, Spans.always(cameras)
    for _ in range(ALIGNMENTS):
        one, two = _matches(aligned, spans, advance)
        sides = F.one_hot(at[one], int(at.max()) + 1) - F.one_hot(at[two], int(at.max()) + 1)
        sides = sides.to(vectors.dtype) * (known[one] & known[two])[:, None]
        system = sides.T @ sides + torch.eye(sides.shape[1], device=vectors.device)
        offsets = torch.linalg.solve(system, sides.T @ (vectors[one] - vectors[two]))
        moved = offsets[at]
        aligned = F.normalize(torch.sub(vectors, moved, out=moved), out=moved)
    return aligned


def _matches(vectors: Tensor, spans: Spans, advance: Advance) -> tuple[Tensor, Tensor]:
    """Return the clearer half of the pairs of two cameras that are each other's nearest."""
    best, found = nearest_tracks(vectors, spans, 2, advance=advance)
    partner, rows = found[:, 0], torch.arange(len(vectors), device=vectors.device)
    margin = best[:, 0] - best[:, -1]
    margin = torch.minimum(margin, margin[partner])
    pairs = rows[(partner[partner] == rows) & (rows < partner) & best[:, 0].isfinite()]
    pairs = pairs[margin[pairs].argsort(descending=True, stable=True)[: (len(pairs) + 1) // 2]]
    return pairs, partner[pairs]


def _sums(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the sum of the rows of each group, [count, D]."""
    return values.new_zeros((count, values.shape[1])).index_add_(0, groups, values)
