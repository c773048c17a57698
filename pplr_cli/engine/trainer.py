"""The training loop of PPLR, with and without camera labels (paper, algorithm 1).

Identities are not among its inputs: it cannot use them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli import host
from pplr_cli.config.fields import Config
from pplr_cli.data.augment import augment, draw_choices
from pplr_cli.data.sampler import epoch_batches
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.epoch import Epoch, EpochState
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network, Output
from pplr_cli.engine.objective import Targets, objective
from pplr_cli.engine.optim import (
    build_optimizer,
    grow_classifiers,
    learning_rate,
    set_learning_rate,
)
from pplr_cli.engine.prototypes import Proxies, camera_proxies, group_means
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.errors import TrainingError
from pplr_cli.labelling.stage import PseudoLabels, pseudo_labels
from pplr_cli.runtime import Runtime
from pplr_cli.text import named
from pplr_cli.timing import Stopwatch

LOOK_EVERY = 10
"""Steps between two looks at the losses: each look waits for the device."""


class TrainingImages(NamedTuple):
    """What training sees of the N images, in sorted path order.

    Attributes:
        store: the decoded images.
        cameras: int64 [N], all equal where the data set knows none; none of them is an identity.
        paths: N names, for messages.
    """

    store: ImageStore
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
        if self.device.type == "cpu":
            host.keep_freed_memory()
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
        epochs = self.config.optim.epochs
        with self.runtime.reporter.task("training", epochs, "epochs", self.epoch) as task:
            while self.epoch < epochs:
                current = self.current = self.current or self._begin_epoch()
                self._train_epoch(current, at_boundary)
                after_epoch(self._summary(current))
                self.epoch, self.current = self.epoch + 1, None
                task.advance()
        at_boundary()

    def _begin_epoch(self) -> EpochState:
        """Label all images anew and set up what the epoch trains on."""
        watch = Stopwatch()
        features = self._extract()
        watch.lap("extract")
        pseudo = self._label(features, watch)
        self._set_classifiers(features, pseudo)
        proxies = self._camera_proxies(features, pseudo) if self.with_cameras else None
        watch.lap("label")
        return EpochState(pseudo, proxies, watch)

    def _summary(self, current: EpochState) -> Epoch:
        """Return what the epoch did, all its steps done."""
        rate, losses = learning_rate(self.config.optim, self.epoch), current.mean_losses()
        seconds = current.watch.seconds
        return Epoch(self.epoch + 1, current.pseudo, losses, rate, seconds)

    def _extract(self) -> Tensor:
        """Return the features of all images, [1 + P, N, D]."""
        return extract(
            self.network,
            self.images.store,
            self.runtime,
            batch=self.config.engine.extract_batch,
        )

    def _label(self, features: Tensor, watch: Stopwatch) -> PseudoLabels:
        """Return the epoch's pseudo-labels; at least two clusters."""
        config = self.config
        pseudo = pseudo_labels(
            features,
            config.clustering,
            config.agreement,
            self.processes,
            self.runtime.reporter,
            watch,
        )
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
        # sums on a GPU differ in their last bits from process to process
        self.processes.copy_from_first(
            [self.network.head(branch).weight for branch in self.network.branches]
        )

    def _camera_proxies(self, features: Tensor, pseudo: PseudoLabels) -> Proxies:
        labels = torch.from_numpy(pseudo.labels).to(self.device)
        return camera_proxies(
            features, labels, torch.from_numpy(self.images.cameras).to(self.device)
        )

    def _train_epoch(self, current: EpochState, at_boundary: Callable[[], None]) -> None:
        """Train on the batches of the epoch that are left."""
        batches = self._batches(current.pseudo)
        targets = self._targets(current.pseudo)
        set_learning_rate(self.optimizer, learning_rate(self.config.optim, self.epoch))
        self.network.train()
        current.watch.go_on()
        title = f"epoch {self.epoch + 1}/{self.config.optim.epochs}"
        done = current.steps * len(batches[0])
        with self.runtime.reporter.task(title, batches.size, "images", done) as task:
            at_boundary()
            for step in range(current.steps, len(batches)):
                current.losses.append(self._step(step, batches[step], targets, current))
                look = (step + 1) % LOOK_EVERY == 0
                task.advance(len(batches[step]), self.look(current) if look else "")
                current.watch.lap("train_wait")
                at_boundary()
        self.look(current)
        self.processes.copy_from_first(self.network.buffers())
        current.watch.total("train")

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

    def _targets(self, pseudo: PseudoLabels) -> Targets:
        """Return what is known of all N images, on the device."""
        known = (pseudo.labels, pseudo.agreement, self.images.cameras)
        return Targets(*(torch.from_numpy(values).to(self.device) for values in known))

    def _step(
        self, step: int, indices: NDArray[np.int64], targets: Targets, current: EpochState
    ) -> dict[str, Tensor]:
        """Take one optimisation step on the images `indices`; return its losses, detached.

        Nothing in it waits for a GPU.
        """
        watch = current.watch
        rows = torch.from_numpy(indices)
        images = self._augmented(step, rows)
        there = rows.to(self.device, non_blocking=True)
        drawn = Targets(*(values[there] for values in targets))
        watch.lap("train_data")
        with self.runtime.autocast():
            own = self.network(images, current.pseudo.clusters)
        output = Output(*(self.processes.whole_batch(tensor) for tensor in own))
        watch.lap("train_network")
        losses = objective(output, drawn, self.epoch, self.config.loss, current.proxies)
        watch.lap("train_losses")
        self.optimizer.zero_grad()
        losses["loss_total"].backward()
        self.processes.sum_gradients(self.network.parameters())
        self.optimizer.step()
        watch.lap("train_update")
        return {name: value.detach() for name, value in losses.items()}

    def _augmented(self, step: int, rows: Tensor) -> Tensor:
        """Return this process's images of a batch, augmented, float32 [B / size, 3, H, W]."""
        store = self.images.store
        _, height, width, _ = store.pixels.shape
        choices = draw_choices(
            len(rows), height, width, seed=self.config.seed, epoch=self.epoch, step=step
        )
        own = self.processes.share(len(rows))
        return augment(store.take(rows[own]), choices[own])

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
        return f"step {current.steps}, loss {totals.mean().item():.3f}"
