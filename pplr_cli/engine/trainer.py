"""The training loop of PPLR, with and without camera labels (paper, algorithm 1).

Identities are not among its inputs: it cannot use them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config import Config
from pplr_cli.data.augment import augment, draw_choices
from pplr_cli.data.sampler import epoch_batches
from pplr_cli.engine.centroids import Proxies, camera_proxies, group_means
from pplr_cli.engine.features import extract, to_device
from pplr_cli.engine.labels import PseudoLabels, pseudo_labels
from pplr_cli.engine.network import Network
from pplr_cli.engine.objective import Targets, objective
from pplr_cli.engine.optim import (
    build_optimizer,
    grow_classifiers,
    learning_rate,
    set_learning_rate,
)
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.errors import TrainingError
from pplr_cli.runtime import Runtime
from pplr_cli.stopwatch import Stopwatch

LOOK_EVERY = 10
"""Steps between two looks at the losses: each look waits for the device."""


class TrainingImages(NamedTuple):
    """What training sees of the N images, in sorted path order.

    Attributes:
        pixels: uint8 [N, H, W, 3].
        cameras: int64 [N], all equal where the data set knows none; None of them is an identity.
    """

    pixels: NDArray[np.uint8]
    cameras: NDArray[np.int64]


@dataclass(frozen=True)
class Epoch:
    """What one epoch did.

    Attributes:
        number: epochs done, counted from 1; 0 = the network before training.
        pseudo: the pseudo-labels it trained on; None before training.
        losses: mean of each loss over the steps.
        rate: learning rate.
        seconds: time of each stage, and of the parts of a stage as `<stage>_<part>`.
    """

    number: int
    pseudo: PseudoLabels | None = None
    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Trains one network on one device.

    Args:
        config: the resolved settings.
        network: with its starting weights; moved to the device.
        images: the training images.
        runtime: where to train, at which precision, and who is told.
        with_cameras: adds the inter-camera losses (`train-cam`).
    """

    def __init__(
        self,
        config: Config,
        network: Network,
        images: TrainingImages,
        runtime: Runtime,
        *,
        with_cameras: bool,
    ) -> None:
        self.config = config
        self.network = network.to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images = images
        self.runtime = runtime
        self.device = runtime.device
        self.with_cameras = with_cameras
        self.optimizer = build_optimizer(network, config.optim)
        set_replicas(network, config.batch.replicas)
        self._clock = self._laps = Stopwatch()  # of the epoch's stages, and within its steps

    def run(self, after_epoch: Callable[[Epoch], None]) -> None:
        """Train for `optim.epochs` epochs; `after_epoch` evaluates, records and saves.

        Raises:
            TrainingError: clustering finds fewer than two clusters, or a loss is not finite.
        """
        after_epoch(Epoch(0))
        epochs = self.config.optim.epochs
        with self.runtime.reporter.task("training", epochs, "epochs") as task:
            for epoch in range(epochs):
                after_epoch(self._epoch(epoch))
                task.advance()

    def _epoch(self, epoch: int) -> Epoch:
        """Label the images anew and train on them."""
        clock = self._clock = Stopwatch()
        features = self._extract()
        clock.lap("extract")
        pseudo = self._label(features, epoch)
        clock.lap("label")
        self._set_classifiers(features, pseudo)
        proxies = self._camera_proxies(features, pseudo) if self.with_cameras else None
        rate = learning_rate(self.config.optim, epoch)
        set_learning_rate(self.optimizer, rate)
        losses = self._train_epoch(epoch, pseudo, proxies)
        clock.lap("train")
        return Epoch(epoch + 1, pseudo, losses, rate, clock.seconds | self._laps.seconds)

    def _extract(self) -> Tensor:
        """Return the features of all images, [1 + P, N, D]."""
        return extract(
            self.network,
            self.images.pixels,
            self.runtime,
            batch=self.config.engine.extract_batch,
        )

    def _label(self, features: Tensor, epoch: int) -> PseudoLabels:
        """Return the epoch's pseudo-labels; at least two clusters."""
        pseudo = pseudo_labels(
            features,
            self.config.clustering,
            self.config.agreement,
            self.runtime.reporter,
            self._clock,
        )
        if pseudo.clusters < 2:
            raise TrainingError(
                f"epoch {epoch + 1}: clustering found {pseudo.clusters} clusters among "
                f"{len(pseudo.labels)} images ({pseudo.outliers} outliers); two are needed",
                "raise `clustering.eps` if most images are outliers, lower it if all fall into "
                "one cluster, or start from better `model.weights`",
            )
        return pseudo

    def _set_classifiers(self, features: Tensor, pseudo: PseudoLabels) -> None:
        """Make the clusters' centroids the first rows of the classifiers."""
        grow_classifiers(self.network, self.optimizer, pseudo.clusters)
        labels = torch.from_numpy(pseudo.labels).to(self.device)
        centroids = group_means(features, labels, pseudo.clusters)
        with torch.no_grad():
            for branch, rows in zip(self.network.branches, centroids, strict=True):
                self.network.head(branch).weight[: pseudo.clusters] = rows

    def _camera_proxies(self, features: Tensor, pseudo: PseudoLabels) -> Proxies:
        labels = torch.from_numpy(pseudo.labels).to(self.device)
        return camera_proxies(
            features, labels, torch.from_numpy(self.images.cameras).to(self.device)
        )

    def _train_epoch(
        self, epoch: int, pseudo: PseudoLabels, proxies: Proxies | None
    ) -> dict[str, float]:
        """Train on the epoch's batches; return the mean losses."""
        batch = self.config.batch
        batches = epoch_batches(
            pseudo.labels,
            self.images.cameras,
            size=batch.size,
            instances=batch.instances,
            iters=self.config.optim.iters,
            seed=self.config.seed,
            epoch=epoch,
        )
        self.network.train()
        history: list[dict[str, Tensor]] = []
        title = f"epoch {epoch + 1}/{self.config.optim.epochs}"
        self._laps = Stopwatch()
        with self.runtime.reporter.task(title, len(batches) * batch.size, "images") as task:
            for step, indices in enumerate(batches):
                history.append(self._step(epoch, step, indices, pseudo, proxies))
                look = (step + 1) % LOOK_EVERY == 0 or step + 1 == len(batches)
                note = self._look(history, epoch, step) if look else ""
                task.advance(len(indices), note)
                self._laps.lap("train_wait")
        return {name: _mean(history, name) for name in history[0]}

    def _step(
        self,
        epoch: int,
        step: int,
        indices: NDArray[np.int64],
        pseudo: PseudoLabels,
        proxies: Proxies | None,
    ) -> dict[str, Tensor]:
        """Take one optimisation step on the images `indices`; return its losses, detached."""
        _, height, width, _ = self.images.pixels.shape
        choices = draw_choices(
            len(indices), height, width, seed=self.config.seed, epoch=epoch, step=step
        )
        images = augment(to_device(self.images.pixels[indices], self.device), choices)
        targets = Targets(
            *(
                torch.from_numpy(values[indices]).to(self.device)
                for values in (pseudo.labels, pseudo.agreement, self.images.cameras)
            )
        )
        laps = self._laps
        laps.lap("train_data")
        with self.runtime.autocast():
            output = self.network(images, pseudo.clusters)
        laps.lap("train_network")
        losses = objective(output, targets, epoch, self.config.loss, proxies)
        laps.lap("train_losses")
        self.optimizer.zero_grad()
        losses["loss_total"].backward()
        self.optimizer.step()
        laps.lap("train_update")
        return {name: value.detach() for name, value in losses.items()}

    def _look(self, history: list[dict[str, Tensor]], epoch: int, step: int) -> str:
        """Return the last total loss for people; refuse to go on if it is not finite."""
        recent = torch.stack([losses["loss_total"] for losses in history[-LOOK_EVERY:]])
        bad = (~recent.isfinite()).nonzero()
        if len(bad):
            first = step + 1 - len(recent) + int(bad[0])
            raise TrainingError(
                f"epoch {epoch + 1}, step {first + 1}: the loss is {recent[bad[0]].item()}",
                "lower `optim.lr`, or use --precision fp32; the weights saved before are whole",
            )
        return f"step {step + 1}, loss {recent.mean().item():.3f}"


def _mean(history: list[dict[str, Tensor]], name: str) -> float:
    return torch.stack([losses[name] for losses in history]).mean().item()
