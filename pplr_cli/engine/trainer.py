"""The training loop of PPLR, with and without camera labels (paper, algorithm 1).

Identities are not among its inputs: it cannot use them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pplr_cli import host
from pplr_cli.config.fields import Config
from pplr_cli.engine.batches import Batches, TrainingImages
from pplr_cli.engine.epoch import Epoch, EpochState
from pplr_cli.engine.features import extract
from pplr_cli.engine.graph import Steps
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer, grow_classifiers, learning_rate
from pplr_cli.engine.pplr import PPLR
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.errors import TrainingError
from pplr_cli.labelling.clustering import TOO_FEW
from pplr_cli.labelling.disk_features import Features
from pplr_cli.labelling.near_duplicates import by_tracks
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.runtime import Runtime
from pplr_cli.text import named
from pplr_cli.timing import Stopwatch

CHECK_EVERY = 10
"""Steps between two checks of the losses: each check waits for the GPU."""
_LOWER_RATE = "lower `optim.lr`, or use --precision fp32; the weights saved before are not affected"


@dataclass(eq=False, repr=False)
class Trainer:
    """Trains one network, alone or as one of several processes.

    Attributes:
        epoch: the epoch in progress, or the next one, counted from 0.
        current: the state of the epoch in progress; None between two epochs.
        method: what the epoch trains towards.
    """

    config: Config
    network: Network
    images: TrainingImages
    runtime: Runtime
    with_cameras: bool = field(kw_only=True)  # add the inter-camera losses (`train-cam`)

    def __post_init__(self) -> None:
        self.device, self.processes = self.runtime.device, self.runtime.processes
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.device.type == "cpu":
            host.keep_freed_memory()
        else:
            torch.cuda.set_device(self.device)  # Triton launches on the current device
        self.optimizer = build_optimizer(self.network, self.config.optim)
        used = (self.network, self.optimizer, self.config.loss)
        self.method = PPLR(*used, with_cameras=self.with_cameras, processes=self.processes)
        self.steps = Steps(self.network, self.optimizer, self.method, self.runtime)
        self.epoch = 0
        self.current: EpochState | None = None
        set_replicas(self.network, self.config.batch.replicas // self.processes.size)

    def run(
        self, after_epoch: Callable[[Epoch], None], at_boundary: Callable[[], None] = lambda: None
    ) -> None:
        """Train until `optim.epochs` epochs are done, from the current state on.

        Args:
            after_epoch: evaluates and records; called with number 0 before training.
            at_boundary: called between two steps, when `state_dict` can be taken.

        Raises:
            TrainingError: clustering finds fewer than two clusters, or a loss is not finite.
        """
        self.processes.copy_from_first(self.network.state_dict().values())
        if self.epoch == 0 and self.current is None:
            after_epoch(Epoch(0))
        epochs, done = self.config.optim.epochs, float(self.epoch)
        if self.current is not None:  # only the rest counts for the speed, and so the time left
            done += self.current.steps / self.config.optim.iters
        with self.runtime.reporter.task("training", epochs, "epochs", done) as task:
            while self.epoch < epochs:
                current = self.current = self.current or self._begin_epoch()
                rate = learning_rate(self.config.optim, self.epoch)
                self._train_epoch(current, rate, at_boundary)
                losses, seconds = current.mean_losses(), current.watch.seconds
                after_epoch(Epoch(self.epoch + 1, current.pseudo, losses, rate, seconds))
                self.epoch, self.current = self.epoch + 1, None
                task.advance(self.epoch - done)
                done = self.epoch
        at_boundary()

    def _begin_epoch(self) -> EpochState:
        """Extract features, cluster them, and set up the classifiers and proxies."""
        watch = Stopwatch()
        with watch.timing("extract"):
            features = self._extract()
        with watch.timing("label"):
            pseudo = self._label(features, watch)
            self.method.begin_epoch(features, pseudo, self.images.cameras)
        return EpochState(pseudo, watch)

    def _train_epoch(
        self, current: EpochState, rate: float, at_boundary: Callable[[], None]
    ) -> None:
        """Train on the remaining batches of the epoch."""
        batches = self._batches(current)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        self.steps.begin_epoch(self.epoch)
        title = f"epoch {self.epoch + 1}/{self.config.optim.epochs}"
        size = self.config.batch.size
        total, done = size * len(batches), size * current.steps
        with self.runtime.reporter.task(title, total, "images", done) as task:
            at_boundary()
            for step in range(current.steps, len(batches)):
                current.losses.append(self._step(batches, step, current.watch))
                due = (step + 1) % CHECK_EVERY == 0
                task.advance(size, self._progress_note(current) if due else "")
                at_boundary()
        self.check_losses(current)
        self.steps.release()
        self.processes.copy_from_first(self.network.buffers())
        current.watch.total("train")

    def _step(self, batches: Batches, step: int, watch: Stopwatch) -> dict[str, Tensor]:
        """Load one batch and train on it; return its losses."""
        with watch.timing("train_data"):
            images, targets = batches.load(step)
        return self.steps.take(images, targets, watch)

    def _extract(self) -> Features:
        """Return the features of all images, float32 [1 + P, N, D]."""
        batch = self.config.engine.extract_batch
        images = self.images
        features = extract(
            self.network,
            images.store,
            self.runtime,
            batch=batch,
            mirrored=by_tracks(self.config.clustering, images.cameras, images.tracks),
            kept=self.config.clustering.features,
        )
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # else the search would be billed for the wait
        return features

    def _label(self, features: Features, watch: Stopwatch) -> PseudoLabels:
        """Return the epoch's pseudo-labels; at least two clusters."""
        images, config = self.images, self.config
        used = config.clustering, config.agreement, self.runtime, watch
        pseudo = label(
            features, images.cameras, *used, tracks=images.tracks, answers=images.answers
        )
        if pseudo.clusters < 2:
            raise TrainingError(
                f"epoch {self.epoch + 1}: clustering found {pseudo.clusters} clusters among "
                f"{len(pseudo.labels)} images ({pseudo.outliers} outliers); two are needed",
                TOO_FEW,
            )
        return pseudo

    def _batches(self, current: EpochState) -> Batches:
        """Return the batches of the epoch."""
        return Batches(self.images, current.pseudo, self.config, self.epoch, self.runtime)

    def check_losses(self, current: EpochState) -> list[float]:
        """Return the total losses of the steps since the last check; waits for the GPU.

        Raises:
            TrainingError: one of them is not finite.
        """
        recent = current.losses[current.checked :]
        if not recent:
            return []
        with current.watch.timing("train_wait"):
            totals = torch.stack([losses["loss_total"] for losses in recent]).tolist()
        bad = [n for n, total in enumerate(totals, current.checked) if not np.isfinite(total)]
        if bad:
            paths = [self.images.paths[image] for image in self._batches(current).rows[bad[0]]]
            raise TrainingError(
                f"epoch {self.epoch + 1}, step {bad[0] + 1}: the loss is "
                f"{totals[bad[0] - current.checked]}; its images: {named(paths)}",
                _LOWER_RATE,
            )
        current.checked = current.steps
        return totals

    def _progress_note(self, current: EpochState) -> str:
        """Check the recent losses; return their mean for the progress display."""
        recent = self.check_losses(current)
        return f"step {current.steps}, loss {fmean(recent):.3f}" if recent else ""

    def state_dict(self) -> dict[str, Any]:
        """Return the state between two steps, as tensors and plain values.

        Raises:
            TrainingError: a loss or a weight is not finite; such a state must not be kept.
        """
        current = self.current
        if current is not None:
            self.check_losses(current)
        self._check_weights()
        return {
            "epoch": self.epoch,
            "classes": self.network.classes,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "current": current and {**current.state_dict(), **self.method.state_dict()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, in a trainer with the same settings."""
        self.epoch, current = state["epoch"], state["current"]
        grow_classifiers(self.network, self.optimizer, state["classes"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.current = None
        if current is not None:
            self.current = EpochState.from_state_dict(current, self.device)
            # states of pplr 0.1 do not have `clusters`
            self.method.load_state_dict({"clusters": self.current.pseudo.clusters, **current})

    def _check_weights(self) -> None:
        """Raise `TrainingError` for the first weight that is not finite."""
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                what = f"epoch {self.epoch + 1}: `{name}` holds NaN or infinite values"
                raise TrainingError(what, _LOWER_RATE)
