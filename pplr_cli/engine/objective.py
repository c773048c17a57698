"""The training objective: which losses are summed, in which epoch, with which weights."""

from typing import NamedTuple

import torch
from torch import Tensor

from pplr_cli.config.fields import Loss
from pplr_cli.engine import losses
from pplr_cli.engine.network import Output
from pplr_cli.engine.prototypes import Proxies


class Targets(NamedTuple):
    """What is known of the B images of a batch.

    Attributes:
        labels: cluster labels, int64 [B].
        agreement: cross agreement scores, float32 [B, P].
        cameras: int64 [B].
    """

    labels: Tensor
    agreement: Tensor
    cameras: Tensor


def objective(
    output: Output, targets: Targets, epoch: int, settings: Loss, proxies: Proxies | None = None
) -> dict[str, Tensor]:
    """Return the losses by name, in float32, with their weighted sum as `total`.

    Args:
        output: the network's output for the whole batch.
        targets: labels, agreement and cameras of the batch.
        epoch: counted from 0; agreement-aware smoothing begins at `settings.aals_epoch`.
        settings: the loss weights.
        proxies: the epoch's camera proxies; None leaves the inter-camera losses out (`train`).
    """
    output = Output(*(tensor.float() for tensor in output))
    labels, agreement, cameras = targets
    if epoch >= settings.aals_epoch:
        part = losses.agreement_aware_smoothing(output.part_logits, labels, agreement)
    else:
        part = losses.smooth_cross_entropy(output.part_logits, labels, settings.smoothing)
    values = {
        "loss_refinement": losses.label_refinement(
            output.global_logits, output.part_logits, labels, agreement, settings.beta
        ),
        "loss_triplet": losses.soft_triplet(output.global_feature, labels),
        "loss_part": part,
    }
    total = torch.stack([*values.values()]).sum()
    if proxies is not None:
        values |= _camera_losses(output, labels, cameras, proxies, settings)
        camera = values["loss_camera"] + values["loss_camera_part"]
        total = total + settings.camera_weight * camera
    return values | {"loss_total": total}


def _camera_losses(
    output: Output, labels: Tensor, cameras: Tensor, proxies: Proxies, settings: Loss
) -> dict[str, Tensor]:
    """Return the inter-camera loss of the global feature and its mean over the parts."""
    features = [output.global_feature, *output.part_features.unbind(2)]
    whole, *parts = (
        losses.inter_camera(
            feature,
            labels,
            cameras,
            proxies,
            branch,
            settings.camera_temperature,
            settings.camera_negatives,
        )
        for branch, feature in enumerate(features)
    )
    return {"loss_camera": whole, "loss_camera_part": torch.stack(parts).mean()}
