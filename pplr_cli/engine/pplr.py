"""PPLR as an object: the classifiers, the camera proxies and the losses of an epoch.

Paper: Cho et al., CVPR 2022; the inter-camera loss is that of CAP (Wang et al., AAAI 2021).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config.fields import Loss
from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.engine import losses
from pplr_cli.engine.network import Network, Output
from pplr_cli.engine.optim import grow_classifiers
from pplr_cli.engine.prototypes import Proxies, camera_proxies, group_means
from pplr_cli.engine.weighting import camera_weights
from pplr_cli.labelling.disk_features import Features
from pplr_cli.labelling.pseudo_labels import PseudoLabels


class Targets(NamedTuple):
    """What the losses compare a batch of B images with."""

    labels: Tensor  # cluster labels, int64 [B]
    agreement: Tensor  # cross agreement scores, float32 [B, P]
    cameras: Tensor  # int64 [B]


@dataclass(eq=False, repr=False)
class PPLR:
    """Sets up each epoch from its pseudo-labels and computes the losses of its batches.

    All processes get the classifiers and proxies of the first.
    """

    network: Network
    optimizer: torch.optim.Optimizer  # follows classifiers that grow
    settings: Loss
    with_cameras: bool = field(kw_only=True)  # add the inter-camera losses (`train-cam`)
    processes: Processes = ALONE
    clusters: int = field(default=0, init=False)  # C, of the epoch
    proxies: Proxies | None = field(default=None, init=False)  # of the epoch, if with cameras

    def begin_epoch(
        self, features: Features, pseudo_labels: PseudoLabels, cameras: NDArray[np.int64]
    ) -> None:
        """Set the first C rows of the classifiers to the centroids; compute the camera proxies.

        `features` are [1 + P, N, D], `cameras` int64 [N]. There must be at least two clusters.
        """
        self.clusters = pseudo_labels.clusters
        labels, seen = (
            torch.from_numpy(values).to(features.device)
            for values in (pseudo_labels.labels, cameras)
        )
        grow_classifiers(self.network, self.optimizer, self.clusters)
        weights = [self.network.head(branch).weight for branch in self.network.branches]
        centroids = group_means(features, labels, self.clusters)
        with torch.no_grad():
            for weight, rows in zip(weights, centroids, strict=True):
                weight[: self.clusters] = rows
        self.proxies = camera_proxies(features, labels, seen) if self.with_cameras else None
        # sums on a GPU differ in their last bits from process to process
        self.processes.copy_from_first([*weights, *(self.proxies or ())])

    def losses(self, output: Output, targets: Targets, epoch: int) -> dict[str, Tensor]:
        """Return the losses of a complete batch by name, float32; `loss_total` is the weighted sum.

        Agreement-aware smoothing begins at epoch `loss.aals_epoch`, counted from 0. With
        `loss.camera_entropy` all losses weight their images by the cameras of their cluster.
        """
        settings = self.settings
        output = Output(*(tensor.float() for tensor in output))
        labels, agreement, cameras = targets
        weights = camera_weights(labels, cameras) if settings.camera_entropy else None
        logits = output.part_logits
        if epoch >= settings.aals_epoch:
            part = losses.agreement_aware_smoothing(logits, labels, agreement, weights)
        else:
            part = losses.smooth_cross_entropy(logits, labels, settings.smoothing, weights)
        values = {
            "loss_refinement": losses.label_refinement(
                output.global_logits, logits, labels, agreement, settings.beta, weights
            ),
            "loss_triplet": losses.soft_triplet(output.global_feature, labels, weights),
            "loss_part": part,
        }
        total = torch.stack([*values.values()]).sum()
        if self.proxies is not None:
            values |= self._camera_losses(output, targets, self.proxies, weights)
            camera = values["loss_camera"] + values["loss_camera_part"]
            total = total + settings.camera_weight * camera
        return values | {"loss_total": total}

    def _camera_losses(
        self, output: Output, targets: Targets, proxies: Proxies, weights: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the inter-camera loss of the global feature and its mean over the parts."""
        settings = self.settings
        features = [output.global_feature, *output.part_features.unbind(2)]
        given = (targets.labels, targets.cameras, proxies)
        strength = (settings.camera_temperature, settings.camera_negatives, weights)
        first, *others = (
            losses.inter_camera(feature, *given, branch, *strength)
            for branch, feature in enumerate(features)
        )
        return {"loss_camera": first, "loss_camera_part": torch.stack(others).mean()}

    def state_dict(self) -> dict[str, Any]:
        """Return what the rest of the epoch needs; the classifiers belong to the network."""
        proxies = None if self.proxies is None else tuple(self.proxies)
        return {"clusters": self.clusters, "proxies": proxies}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, on the network's device."""
        self.clusters, proxies = state["clusters"], state["proxies"]
        device = self.network.head("").weight.device
        self.proxies = None if proxies is None else Proxies(*(t.to(device) for t in proxies))
