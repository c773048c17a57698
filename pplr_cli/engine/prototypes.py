"""Cluster centroids and camera proxies: the per-epoch classifiers (paper, sections 3.1 and 3.4)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.labelling.disk_features import Features

BLOCK = 1 << 17
"""Images of a space that are copied at a time."""


class Proxies(NamedTuple):
    """One proxy for each (cluster, camera) pair that occurs, sorted by cluster, then camera."""

    features: Tensor  # L2-normalised means: global first, then the parts, [1 + P, M, D]
    clusters: Tensor  # int64 [M]
    cameras: Tensor  # int64 [M]


def group_means(features: Features, groups: Tensor, count: int) -> Tensor:
    """Return the L2-normalised mean feature of each group, [1 + P, count, D], of [1 + P, N, D].

    `groups` are int64 [N] in 0..count-1, no group empty; -1 = in no group. Only some images of one
    space at a time are copied: all of them are gigabytes for many images.
    """
    kept = (groups >= 0).nonzero().squeeze(1)
    sums = torch.zeros((len(features), count, features.shape[-1]), device=groups.device)
    for space, own in enumerate(sums):
        vectors = features[space]
        for rows in kept.split(BLOCK):
            own.index_add_(0, groups[rows], vectors[rows])
        del vectors  # before the next space is read
    return F.normalize(sums, dim=-1)


def camera_proxies(features: Features, clusters: Tensor, cameras: Tensor) -> Proxies:
    """Return the proxies of features [1 + P, N, D], clusters (-1 = outlier) and cameras [N]."""
    kept = clusters >= 0
    pairs = torch.stack((clusters[kept], cameras[kept]), 1)
    unique, inverse = pairs.unique(dim=0, return_inverse=True)
    groups = torch.full_like(clusters, -1)
    groups[kept] = inverse
    return Proxies(group_means(features, groups, len(unique)), unique[:, 0], unique[:, 1])
