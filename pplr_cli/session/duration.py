"""How long a run takes, from a measured speed."""

from typing import NamedTuple

import numpy as np

from pplr_cli.config.fields import Config
from pplr_cli.data.images import Split
from pplr_cli.engine.trainer import Trainer
from pplr_cli.labelling.near_duplicates import by_tracks
from pplr_cli.session.inputs import Inputs
from pplr_cli.session.speed import Speed
from pplr_cli.text import counted
from pplr_cli.timing import clock


class Times(NamedTuple):
    """How long a run takes; all times in seconds."""

    device: str
    processes: int
    batch: int  # images
    passes: float  # how often an epoch shows each training image
    step: float  # measured
    search: float | None  # exact neighbour search of an epoch, estimated; given tracks have none
    searched: str  # `clustering.search`
    epoch: float  # with the neighbour search, without clustering
    run: float
    epochs: int  # those left
    evaluations: int

    def rows(self) -> list[tuple[str, str]]:
        """Return the table for people."""
        scores = f", {counted(self.evaluations, 'evaluations')}" if self.evaluations else ""
        rows = [
            ("device", f"{self.device}, processes: {self.processes}"),
            ("each training image", f"seen {self.passes:.1f} times an epoch"),
            ("a step, measured", f"{self.step:.3f} s ({self.batch / self.step:,.0f} images/s)"),
        ]
        if self.search is not None:
            other = "" if self.searched == "exact" else f"; `clustering.search` = `{self.searched}`"
            rows.append(("neighbours, exact", f"about {clock(self.search)} an epoch{other}"))
        return [
            *rows,
            ("an epoch", f"about {clock(self.epoch)}, clustering not included"),
            ("the run", f"about {clock(self.run)}: {counted(self.epochs, 'epochs')}{scores}"),
        ]


def times(trainer: Trainer, inputs: Inputs, speed: Speed) -> Times:
    """Return how often an epoch shows each image, and how long the remaining epochs take."""
    config, images = inputs.config, len(trainer.images.paths)
    optim, size, given = config.optim, config.batch.size, trainer.images.tracks
    mirrored = by_tracks(config.clustering, trainer.images.cameras, given)
    passes = 2 if mirrored else 1
    search = None if given is not None else speed.search
    if search is not None and mirrored:  # one search, of each camera's images alone
        shares = np.unique(trainer.images.cameras, return_counts=True)[1] / images
        search *= float(np.square(shares).sum()) / (1 + config.model.parts)
    epoch = optim.iters * speed.step + passes * images * speed.image + (search or 0)
    splits = (Split.QUERY, Split.GALLERY) if inputs.manifest.can_evaluate else ()
    tested = sum(len(inputs.manifest.split(split)) for split in splits)
    left = range(trainer.epoch + 1, optim.epochs + 1)
    evaluations = _evaluations(trainer, config, left) if inputs.manifest.can_evaluate else 0
    return Times(
        device=str(trainer.device),
        processes=trainer.processes.size,
        batch=size,
        passes=optim.iters * size / images,
        step=speed.step,
        search=search,
        searched=config.clustering.search,
        epoch=epoch,
        run=len(left) * epoch + evaluations * tested * speed.image,
        epochs=len(left),
        evaluations=evaluations,
    )


def _evaluations(trainer: Trainer, config: Config, numbers: range) -> int:
    """Return how often the network is evaluated: after these epochs, and before the first."""
    start = config.evaluation.at_start and trainer.epoch == 0 and trainer.current is None
    last = config.optim.epochs
    return start + sum(n % config.evaluation.every == 0 or n == last for n in numbers)
