"""The training loop of PPLR, with and without camera labels (paper, algorithm 1).

Identities are not among its inputs: it cannot use them.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config import Config
from pplr_cli.data.augment import augment, draw_choices
from pplr_cli.data.sampler import epoch_batches
from pplr_cli.engine.centroids import Proxies, camera_proxies, group_means
from pplr_cli.engine.epoch import Epoch, EpochState
from pplr_cli.engine.features import extract, to_device
from pplr_cli.engine.labels import PseudoLabels, pseudo_labels
from pplr_cli.engine.network import Network, Output
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
from pplr_cli.wording import named

LOOK_EVERY = 10
"""Steps between two looks at the losses: each look waits for the device."""


class TrainingImages(NamedTuple):
    """What training sees of the N images, in sorted path order.

    Attributes:
        pixels: uint8 [N, H, W, 3].
        cameras: int64 [N], all equal where the data set knows none; none of them is an identity.
        paths: N names, for messages.
    """

    pixels: NDArray[np.uint8]
    cameras: NDArray[np.int64]
    paths: tuple[str, ...]


class Trainer:
    """Trains one network, in one process or as one of several.

    Args:
        config: the resolved settings.
        network: with its starting weights; moved to the device.
        images: the training images.
        runtime: where to train, at which precision, with which other processes, who is told.
        with_cameras: adds the inter-camera losses (`train-cam`).

    Attributes:
        epoch: the epoch under way, or the next one, counted from 0.
        current: the epoch under way; None between two epochs.
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
        self.processes = runtime.processes
        self.with_cameras = with_cameras
        self.optimizer = build_optimizer(network, config.optim)
        self.epoch = 0
        self.current: EpochState | None = None
        set_replicas(network, config.batch.replicas // self.processes.size)

    def run(
        self, after_epoch: Callable[[Epoch], None], at_boundary: Callable[[], None] = lambda: None
    ) -> None:
        """Train until `optim.epochs` epochs are done, from wherever the trainer stands.

        Args:
            after_epoch: evaluates and records; called with number 0 before training.
            at_boundary: called between two steps, where `engine/state.py` can save the trainer.

        Raises:
            TrainingError: clustering finds fewer than two clusters, or a loss is not finite.
        """
        self.processes.copy_from_first(self.network.state_dict().values())
        if self.epoch == 0 and self.current is None:
            after_epoch(Epoch(0))
        while self.epoch < self.config.optim.epochs:
            current = self.current = self.current or self._begin_epoch()
            self._train_epoch(current, at_boundary)
            rate = learning_rate(self.config.optim, self.epoch)
            losses = current.mean_losses()
            after_epoch(Epoch(self.epoch + 1, current.pseudo, losses, rate, current.seconds))
            self.epoch, self.current = self.epoch + 1, None
        at_boundary()

    def _begin_epoch(self) -> EpochState:
        """Label all images anew and set up what the epoch trains on."""
        clock = _Clock()
        features = self._extract()
        clock.lap("extract")
        pseudo = self._label(features)
        self._set_classifiers(features, pseudo)
        proxies = self._camera_proxies(features, pseudo) if self.with_cameras else None
        clock.lap("label")
        return EpochState(pseudo, proxies, seconds=clock.seconds)

    def _extract(self) -> Tensor:
        """Return the features of all images, [1 + P, N, D]."""
        return extract(
            self.network,
            self.images.pixels,
            self.runtime,
            batch=self.config.engine.extract_batch,
        )

    def _label(self, features: Tensor) -> PseudoLabels:
        """Return the epoch's pseudo-labels; at least two clusters."""
        config = self.config
        pseudo = pseudo_labels(features, config.clustering, config.agreement, self.processes)
        if pseudo.clusters < 2:
            raise TrainingError(
                f"epoch {self.epoch + 1}: clustering found {pseudo.clusters} clusters among "
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

    def _train_epoch(self, current: EpochState, at_boundary: Callable[[], None]) -> None:
        """Train on the batches of the epoch that are left."""
        batches = self._batches(current.pseudo)
        set_learning_rate(self.optimizer, learning_rate(self.config.optim, self.epoch))
        self.network.train()
        title = f"epoch {self.epoch + 1}/{self.config.optim.epochs}"
        start = time.monotonic() - current.seconds.get("train", 0.0)
        with self.runtime.reporter.task(title, len(batches), "steps") as task:
            task.advance(current.steps)
            at_boundary()
            for step in range(current.steps, len(batches)):
                current.losses.append(self._step(step, batches[step], current))
                look = (step + 1) % LOOK_EVERY == 0
                task.advance(note=self.look(current) if look else "")
                current.seconds["train"] = time.monotonic() - start
                at_boundary()
        self.look(current)
        self.processes.copy_from_first(self.network.buffers())

    def _batches(self, pseudo: PseudoLabels) -> NDArray[np.int64]:
        """Return the images of each batch of the epoch, int64 [iters, B]."""
        batch = self.config.batch
        return epoch_batches(
            pseudo.labels,
            self.images.cameras,
            size=batch.size,
            instances=batch.instances,
            iters=self.config.optim.iters,
            seed=self.config.seed,
            epoch=self.epoch,
        )

    def _step(
        self, step: int, indices: NDArray[np.int64], current: EpochState
    ) -> dict[str, Tensor]:
        """Take one optimisation step on the images `indices`; return its losses, detached."""
        pseudo = current.pseudo
        images = self._augmented(step, indices)
        with self.runtime.autocast():
            own = self.network(images, pseudo.clusters)
        output = Output(*(self.processes.whole_batch(tensor) for tensor in own))
        targets = Targets(
            *(
                torch.from_numpy(values[indices]).to(self.device)
                for values in (pseudo.labels, pseudo.agreement, self.images.cameras)
            )
        )
        losses = objective(output, targets, self.epoch, self.config.loss, current.proxies)
        self.optimizer.zero_grad()
        losses["loss_total"].backward()
        self.processes.sum_gradients(self.network.parameters())
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _augmented(self, step: int, indices: NDArray[np.int64]) -> Tensor:
        """Return this process's images of a batch, augmented, float32 [B / size, 3, H, W]."""
        _, height, width, _ = self.images.pixels.shape
        choices = draw_choices(
            len(indices), height, width, seed=self.config.seed, epoch=self.epoch, step=step
        )
        own = self.processes.share(len(indices))
        return augment(to_device(self.images.pixels[indices[own]], self.device), choices[own])

    def look(self, current: EpochState) -> str:
        """Return the last losses' mean for people; refuse to go on if one is not finite."""
        recent = current.losses[current.looked :]
        if not recent:
            return ""
        totals = torch.stack([losses["loss_total"] for losses in recent])
        bad = (~totals.isfinite()).nonzero()
        if len(bad):
            step = current.looked + int(bad[0])
            paths = [self.images.paths[image] for image in self._batches(current.pseudo)[step]]
            raise TrainingError(
                f"epoch {self.epoch + 1}, step {step + 1}: the loss is {totals[bad[0]].item()}; "
                f"its images: {named(paths)}",
                "lower `optim.lr`, or use --precision fp32; the weights saved before are whole",
            )
        current.looked = current.steps
        return f"loss {totals.mean().item():.3f}"


class _Clock:
    """Seconds of each stage, by a clock that never goes backwards."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = now - self._last
        self._last = now
