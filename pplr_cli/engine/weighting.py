"""Camera-informed weights of the images in a batch (3C, arXiv 2408.09464)."""

import torch
from torch import Tensor


def camera_weights(labels: Tensor, cameras: Tensor) -> Tensor:
    """Return the weight of each image in a batch, float32 [B], by the cameras of its cluster.

    Proportional to exp(H), H the entropy in bits of the cameras of the cluster's images in the
    batch; the mean over the batch's clusters is 1. Does not wait for the GPU.

    Args:
        labels: cluster labels, int64 [B].
        cameras: int64 [B].
    """
    same = labels[:, None] == labels
    size = same.sum(1)
    seen = (same & (cameras[:, None] == cameras)).sum(1)
    bits = torch.log2(size / seen)
    entropy = (same * bits).sum(1) / size  # the mean over the cluster's images
    weights = entropy.exp()
    return weights / ((weights / size).sum() / (1 / size).sum())


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of [B] or [B, P], each image times its weight if there are weights [B]."""
    if weights is None:
        return values.mean()
    return (values * (weights if values.dim() == 1 else weights[:, None])).mean()
