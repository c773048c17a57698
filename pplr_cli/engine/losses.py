"""The five losses of PPLR, each a function of a batch of B images, C clusters and P parts.

Each can weight its images by `weights` [B], see `weighting.camera_weights`.

`global_logits` are float32 [B, C], `part_logits` [B, C, P], `labels` cluster labels int64 [B],
`agreement` cross agreement scores float32 [B, P]. Features are [B, D], after the neck and not
normalised. Each loss is a scalar.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.engine.prototypes import Proxies
from pplr_cli.engine.weighting import weighted_mean

MIN_SQUARED_DISTANCE = 1e-12


def label_refinement(
    global_logits: Tensor,
    part_logits: Tensor,
    labels: Tensor,
    agreement: Tensor,
    beta: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Compute part-guided label refinement (the paper's PGLR).

    The target is `beta` x one-hot + (1 - `beta`) x the parts' predictions, weighted by a softmax
    of their agreement; no gradient flows into it.
    """
    opinions = (part_logits.softmax(1) * agreement.softmax(1)[:, None]).sum(2)
    one_hot = F.one_hot(labels, global_logits.shape[1])
    target = (beta * one_hot + (1 - beta) * opinions).detach()
    return -weighted_mean((target * global_logits.log_softmax(1)).sum(1), weights)


def agreement_aware_smoothing(
    part_logits: Tensor, labels: Tensor, agreement: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Compute agreement-aware label smoothing (the paper's AALS), mean over the parts.

    agreement x cross entropy + (1 - agreement) x KL(uniform || prediction).
    """
    log_probability = part_logits.log_softmax(1)
    picked = labels[:, None, None].expand(-1, 1, part_logits.shape[2])
    entropy = -log_probability.gather(1, picked).squeeze(1)
    divergence = -math.log(part_logits.shape[1]) - log_probability.mean(1)
    return weighted_mean(agreement * entropy + (1 - agreement) * divergence, weights)


def smooth_cross_entropy(
    part_logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Compute cross entropy to (1 - smoothing) x one-hot + smoothing / C, mean over the parts."""
    targets = labels[:, None].expand(-1, part_logits.shape[2])
    if part_logits.is_cuda:  # CUDA sums [B, C, P] in any order, [B P, C] always in the same
        part_logits, targets = part_logits.movedim(2, 1).flatten(0, 1), targets.flatten()
    if weights is None:
        return F.cross_entropy(part_logits, targets, label_smoothing=smoothing)
    each = F.cross_entropy(part_logits, targets, label_smoothing=smoothing, reduction="none")
    return weighted_mean(each.view(len(labels), -1), weights)


def soft_triplet(features: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the batch-hard triplet loss with a soft margin (Hermans et al., 2017).

    For each image, d_ap is the distance to the farthest of its cluster and d_an that to the nearest
    of another (the batch must hold two); the loss is -log softmax over (d_ap, d_an) taken at d_an.
    """
    squares = features.square().sum(1)
    squared = torch.addmm(squares[:, None] + squares, features, features.T, alpha=-2)
    distances = squared.clamp_min(MIN_SQUARED_DISTANCE).sqrt()
    same = labels[:, None] == labels
    farthest = distances.masked_fill(~same, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    return weighted_mean(F.softplus(farthest - nearest), weights)


def inter_camera(
    features: Tensor,
    labels: Tensor,
    cameras: Tensor,
    proxies: Proxies,
    branch: int,
    temperature: float,
    negatives: int,
    weights: Tensor | None = None,
) -> Tensor:
    """Pull images to their cluster's proxies of other cameras (CAP, Wang et al., AAAI 2021).

    The features, normalised here, are those of `branch`: 0 = global, 1.. = the parts. They are
    compared with the `negatives` hardest proxies of other clusters, or all if there are fewer (at
    least one). Returns the sum over the images that have a positive, divided by B.
    """
    similarity = F.normalize(features) @ proxies.features[branch].T / temperature
    same = labels[:, None] == proxies.clusters
    positive = same & (cameras[:, None] != proxies.cameras)
    rivals = similarity.masked_fill(same, -torch.inf)
    hardest = rivals.topk(min(negatives, rivals.shape[1]), dim=1).values
    chosen = torch.cat((similarity.masked_fill(~positive, -torch.inf), hardest), 1)
    log_total = chosen.logsumexp(1)
    count = positive.sum(1)
    mean_positive = (similarity * positive).sum(1) / count.clamp_min(1)
    per_image = torch.where(count > 0, log_total - mean_positive, 0.0)
    if weights is not None:
        per_image = per_image * weights
    return per_image.sum() / len(features)
