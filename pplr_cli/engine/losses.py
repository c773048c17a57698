"""The five losses of PPLR, each one function over a batch of B images, C clusters and P parts.

`labels` are cluster labels int64 [B]; `agreement` are cross agreement scores float32 [B, P];
features are taken after the neck. All return a scalar.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.engine.prototypes import Proxies

MIN_SQUARED_DISTANCE = 1e-12


def label_refinement(
    global_logits: Tensor, part_logits: Tensor, labels: Tensor, agreement: Tensor, beta: float
) -> Tensor:
    """Part-guided label refinement (the paper's PGLR).

    The target is beta x one-hot + (1 - beta) x the parts' predictions, weighted by a softmax of
    their agreement; no gradient flows into it.

    Args:
        global_logits: [B, C].
        part_logits: [B, C, P].
        labels: [B].
        agreement: [B, P].
        beta: weight of the pseudo-label.
    """
    opinions = (part_logits.softmax(1) * agreement.softmax(1)[:, None]).sum(2)
    one_hot = F.one_hot(labels, global_logits.shape[1])
    target = (beta * one_hot + (1 - beta) * opinions).detach()
    return -(target * global_logits.log_softmax(1)).sum(1).mean()


def agreement_aware_smoothing(part_logits: Tensor, labels: Tensor, agreement: Tensor) -> Tensor:
    """Agreement-aware label smoothing (the paper's AALS), mean over the parts.

    ca x cross entropy + (1 - ca) x KL(uniform || prediction).

    Args:
        part_logits: [B, C, P].
        labels: [B].
        agreement: [B, P].
    """
    log_probability = part_logits.log_softmax(1)
    picked = labels[:, None, None].expand(-1, 1, part_logits.shape[2])
    entropy = -log_probability.gather(1, picked).squeeze(1)
    divergence = -math.log(part_logits.shape[1]) - log_probability.mean(1)
    return (agreement * entropy + (1 - agreement) * divergence).mean()


def smooth_cross_entropy(part_logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with the target (1 - smoothing) x one-hot + smoothing / C, mean over parts.

    Args:
        part_logits: [B, C, P].
        labels: [B].
        smoothing: share of the uniform target.
    """
    targets = labels[:, None].expand(-1, part_logits.shape[2])
    return F.cross_entropy(part_logits, targets, label_smoothing=smoothing)


def soft_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """Batch-hard triplet loss with a soft margin (Hermans et al., 2017) over the whole batch.

    Per image the farthest of its cluster d_ap and the nearest of another d_an; the loss is
    -log softmax over (d_ap, d_an) taken at d_an.

    Args:
        features: [B, D], not normalised.
        labels: [B], at least two different ones.
    """
    squares = features.square().sum(1)
    squared = torch.addmm(squares[:, None] + squares, features, features.T, alpha=-2)
    distances = squared.clamp_min(MIN_SQUARED_DISTANCE).sqrt()
    same = labels[:, None] == labels
    farthest = distances.masked_fill(~same, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    return F.softplus(farthest - nearest).mean()


def inter_camera(
    features: Tensor,
    labels: Tensor,
    cameras: Tensor,
    proxies: Proxies,
    branch: int,
    temperature: float,
    negatives: int,
) -> Tensor:
    """Pull images to their cluster's proxies under other cameras (CAP, Wang et al., AAAI 2021).

    Args:
        features: [B, D], normalised here.
        labels: [B].
        cameras: int64 [B].
        proxies: fixed in the epoch.
        branch: which features the proxies are of: 0 = global, 1.. = the parts.
        temperature: of the softmax.
        negatives: hardest proxies of other clusters compared (fewer where fewer exist, at least
            one must).

    Returns:
        Sum over the images that have a positive, divided by B.
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
    return per_image.sum() / len(features)
