"""Which images make the batches of an epoch."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

BATCHES = 1
"""First word of the key of the random numbers, so that `augment` draws others."""


def epoch_batches(
    labels: Indices,
    cameras: Indices,
    tracks: Indices | None = None,
    *,
    size: int,
    instances: int,
    iters: int,
    seed: int,
    epoch: int,
) -> Indices:
    """Return the images of each batch of an epoch as indices, int64 [iters, size].

    Clusters come in random permutations; each gives an anchor image and `instances` - 1 more of
    other cameras than the anchor's where it has any. The clusters at the end of a permutation
    that fill no batch are dropped; a permutation shorter than a batch is repeated to fill one.

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier, never drawn.
        cameras: camera of each image, int64 [N] (all equal where there are none).
        tracks: track of each image, int64 [N]; None = each image is one.
        size: images in a batch, a multiple of `instances`.
        instances: images of each cluster drawn.
        iters: batches.
        seed: of the run.
        epoch: counted from 0; the batches depend on (seed, epoch) alone.
    """
    rng = np.random.default_rng([BATCHES, seed, epoch])
    members = [np.flatnonzero(labels == c) for c in range(labels.max() + 1)]
    clusters_in_batch = size // instances
    batches: list[Indices] = []
    while len(batches) < iters:
        order = rng.permutation(len(members))
        order = np.resize(order, max(len(order), clusters_in_batch))
        for batch in range(min(len(order) // clusters_in_batch, iters - len(batches))):
            chosen = order[batch * clusters_in_batch : (batch + 1) * clusters_in_batch]
            drawn = [draw_instances(members[c], cameras, instances, rng, tracks) for c in chosen]
            batches.append(np.concatenate(drawn))
    return np.stack(batches)


def draw_instances(
    members: Indices,
    cameras: Indices,
    instances: int,
    rng: np.random.Generator,
    tracks: Indices | None = None,
) -> Indices:
    """Draw an anchor of a cluster and `instances` - 1 images to go with it.

    From images of other cameras; where there are none from those of other tracks, then from the
    cluster's other images; a lone image is repeated. With replacement where fewer than `instances`
    are to be had.
    """
    anchor = rng.choice(members)
    pool = members[cameras[members] != cameras[anchor]]
    if not len(pool) and tracks is not None:
        pool = members[tracks[members] != tracks[anchor]]
    if not len(pool):
        pool = members[members != anchor]
    if not len(pool):
        pool = members
    others = rng.choice(pool, instances - 1, replace=len(pool) < instances)
    return np.concatenate(([anchor], others))
