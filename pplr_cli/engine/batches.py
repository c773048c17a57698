"""The batches of one epoch: sampled, augmented and on the device."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.augment import augment, draw_choices
from pplr_cli.data.sampler import epoch_batches
from pplr_cli.data.store import ImageStore
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.pplr import Targets
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runtime import Runtime


class TrainingImages(NamedTuple):
    """The N training images, in sorted path order, without identities."""

    store: ImageStore  # the decoded images
    cameras: NDArray[np.int64]  # int64 [N], all equal if the data set has no camera labels
    paths: tuple[str, ...]  # N names, for messages
    tracks: Tracks | None = None  # the tracks of the images; None if the data set has none
    # what people answered about pairs of images; None without answers
    answers: Answers | None = None


class Batches:
    """Samples the batches of an epoch and loads each of them on demand.

    Batches and augmentation are functions of (seed, epoch, step), the epoch counted from 0: no
    random state is kept.

    Attributes:
        rows: the images of each batch, int64 [iters, B].
    """

    def __init__(
        self,
        images: TrainingImages,
        pseudo: PseudoLabels,
        config: Config,
        epoch: int,
        runtime: Runtime,
    ) -> None:
        self.rows = epoch_batches(
            pseudo.labels,
            images.cameras,
            None if images.tracks is None else images.tracks.of,
            size=config.batch.size,
            instances=config.batch.instances,
            iters=config.optim.iters,
            seed=config.seed,
            epoch=epoch,
        )
        self._store, self._runtime = images.store, runtime
        self._seed, self._epoch = config.seed, epoch
        known = (pseudo.labels, pseudo.agreement, images.cameras)
        self._targets = Targets(*(torch.from_numpy(v).to(runtime.device) for v in known))

    def __len__(self) -> int:
        return len(self.rows)

    def load(self, step: int) -> tuple[Tensor, Targets]:
        """Return this process's augmented images of a batch, and the targets of all B images.

        Returns:
            Normalised float32 [B / processes, 3, H, W] and the targets, on the device.
        """
        device, processes = self._runtime.device, self._runtime.processes
        rows = torch.from_numpy(self.rows[step])
        _, height, width, _ = self._store.pixels.shape
        choices = draw_choices(
            len(rows), height, width, seed=self._seed, epoch=self._epoch, step=step
        )
        own = processes.share(len(rows))
        following = torch.from_numpy(self.rows[min(step + 1, len(self) - 1)][own])
        images = augment(self._store.take(rows[own], following), choices[own])
        there = rows.to(device, non_blocking=True)
        return images, Targets(*(values[there] for values in self._targets))
