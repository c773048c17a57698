"""Join very many tracks without a matrix of all pairs.

A pair is joined only if its scaled similarity 2 s(i, j) - r(i) - r(j) is above 0. Then s is above
one of r(i) and r(j), the means over the k nearest: the pair is in one of the two lists of nearest
tracks. Groups have the mean over all their pairs, so of two groups that are joined, two tracks are
such a pair. The lists of one search hold every pair that any round can join.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.labelling.kernels import kernel
from pplr_cli.labelling.track_search import Spans, products_of
from pplr_cli.parallel import by_blocks

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 4096
"""Pairs compared at a time by one thread."""


def join_pairs(
    vectors: Tensor, scale: Tensor, spans: Spans, groups: Ints, pairs: Ints, different: Ints
) -> Ints:
    """Join groups that are each other's nearest, in rounds; return the group of each track.

    Args:
        vectors: float32 [T, D] on the CPU.
        scale: r of each track, float32 [T].
        spans: of the T tracks.
        groups: at the beginning, int64 [T], all numbers from 0 used.
        pairs: int64 [Q, 2], among them all pairs of tracks of a scaled similarity above 0.
        different: pairs of tracks that are never in one group, int64 [P, 2].
    """
    near = _distinct(groups[pairs])
    while True:
        near, similarity = _positive(near, vectors, scale, groups)
        together = ~_apart(near, spans, groups, different)
        near, similarity = near[together], similarity[together]
        count = int(groups.max()) + 1
        partner, rows = _best(near, similarity, count), np.arange(count)
        joined = (partner[partner] == rows) & (rows < partner)
        if not joined.any():
            return groups
        rows[partner[joined]] = rows[joined]
        numbers = np.unique(rows, return_inverse=True)[1]
        groups, near = numbers[groups], _distinct(numbers[near])


def _distinct(pairs: Ints) -> Ints:
    """Return the pairs [Q, 2] of different numbers, each once and as i < j, in order."""
    size = int(pairs.max(initial=0)) + 1
    low, high = pairs.min(1), pairs.max(1)
    keys = np.unique((low * size + high)[low < high])
    return np.stack((keys // size, keys % size), 1)


def _positive(pairs: Ints, vectors: Tensor, scale: Tensor, groups: Ints) -> tuple[Ints, Floats]:
    """Return the pairs of groups of a scaled similarity above 0, and that."""
    at, count = torch.from_numpy(groups), int(groups.max()) + 1
    sizes = torch.bincount(at)
    centres = torch.zeros(count, vectors.shape[1]).index_add_(0, at, vectors) / sizes[:, None]
    scales = (torch.zeros(count).index_add_(0, at, scale) / sizes).numpy()
    similarity = 2 * products_of(centres, pairs) - scales[pairs].sum(1)
    kept = similarity > 0
    return pairs[kept], similarity[kept]


def _best(pairs: Ints, similarity: Floats, count: int) -> Ints:
    """Return the most similar partner of each group, the first of equal ones; -1 = none."""
    one, other = (np.concatenate((pairs[:, a], pairs[:, 1 - a])) for a in (0, 1))
    order = np.lexsort((other, -np.tile(similarity, 2), one))
    groups, first = np.unique(one[order], return_index=True)
    partner = np.full(count, -1)
    partner[groups] = other[order[first]]
    return partner


def _apart(pairs: Ints, spans: Spans, groups: Ints, different: Ints) -> NDArray[np.bool_]:
    """Return which pairs of groups hold tracks that are never one identity, bool [Q]."""
    count = int(groups.max()) + 1
    refused = groups[different] @ np.array([[count, 1], [1, count]])  # keys of both orders
    found = np.isin(pairs @ np.array([count, 1]), refused)
    order = np.lexsort((spans.first, spans.places, groups))
    ends = np.bincount(groups).cumsum()
    members = (ends - np.bincount(groups), ends, *spans.at(order))
    by_blocks(len(pairs), partial(_find_overlaps, pairs, *members, found), BLOCK)
    return found


@kernel
def _find_overlaps(  # type: ignore[no-untyped-def]
    pairs, starts, ends, places, firsts, lasts, found, first, end
):
    """Mark the pairs first to end of groups of which two tracks are apart.

    The tracks of each group follow each other, sorted by place and time.
    """
    for pair in range(first, end):
        one, other = pairs[pair]
        a, b = starts[one], starts[other]
        place, a_last, b_last = -1, np.nan, np.nan  # the latest times so far, of one place
        while not found[pair] and (a < ends[one] or b < ends[other]):
            turn = b == ends[other]
            if not turn and a < ends[one]:
                turn = places[a] < places[b] or (places[a] == places[b] and firsts[a] <= firsts[b])
            track = a if turn else b
            if places[track] != place:
                place, a_last, b_last = places[track], np.nan, np.nan
            if turn:
                found[pair] = firsts[track] <= b_last
                a += 1
                if not a_last >= lasts[track]:
                    a_last = lasts[track]
            else:
                found[pair] = firsts[track] <= a_last
                b += 1
                if not b_last >= lasts[track]:
                    b_last = lasts[track]
