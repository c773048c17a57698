"""Measure the speed of a run before it starts, on a few images and steps."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import log
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.processes import ALONE
from pplr_cli.engine.batches import Batches
from pplr_cli.engine.features import extract
from pplr_cli.engine.trainer import Trainer
from pplr_cli.labelling.cpu_search import TILE
from pplr_cli.labelling.neighbors import search_for
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.screened_search import screened_search
from pplr_cli.progress import SILENT
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

LEAST, MOST = 2, 12
"""Number of repetitions that are timed."""
SECONDS = 5.0
"""No repetition begins later than this."""

ROWS = 4096
"""Rows whose neighbours are searched; fewer if there are fewer images."""


class Speed(NamedTuple):
    """Seconds of one training step, of the features of one image, of an exact neighbour search."""

    step: float
    image: float
    search: float


def measure(trainer: Trainer) -> Speed:
    """Extract features of one batch, and train on made-up pseudo-labels.

    The trainer must not be used afterwards.
    """
    runtime, config = trainer.runtime, trainer.config
    with runtime.reporter.task("measuring the speed", 0, ""):
        count = config.engine.extract_batch * runtime.processes.size
        store = ImageStore(trainer.images.store.pixels[:count], trainer.device)
        silent, batch = replace(runtime, reporter=SILENT), config.engine.extract_batch
        seconds = _timed(lambda _: extract(trainer.network, store, silent, batch=batch), runtime)
        batches = _begin_epoch(trainer)

        def step(number: int) -> None:
            images, targets = batches.load(number % len(batches))
            trainer.steps.take(images, targets, Stopwatch())

        return Speed(_timed(step, runtime), seconds / len(store), _search(trainer))


def _search(trainer: Trainer) -> float:
    """Return the seconds of an epoch's exact searches, by that of some rows."""
    images, runtime, network = len(trainer.images.paths), trainer.runtime, trainer.network
    some = min(images, ROWS)
    rows = F.normalize(torch.randn(some, network.feature_size, device=runtime.device))
    squares, k = rows.square().sum(1), min(some, trainer.config.clustering.k1)
    search = search_for(rows[:1].expand(images, -1))
    seconds = _timed(lambda _: search(rows, squares, k, ALONE, SILENT.advance), runtime)
    if search is screened_search:
        # a list takes k (1 + ln(N / k)) images; the rest is products of all pairs
        seconds *= images / some * (1 + log(images / k)) / (1 + log(some / k))
        codes = rows[:TILE].to(torch.int8)
        products = _timed(lambda _: torch._int_mm(codes, codes.T), runtime)
        seconds += products * images**2 / (2 * len(codes) ** 2)
    else:
        seconds *= (images / some) ** 2
    return seconds * (1 + network.parts) / runtime.processes.size


def _begin_epoch(trainer: Trainer) -> Batches:
    """Begin an epoch of clusters that are all of one size, with the same random features."""
    images, config, network = trainer.images, trainer.config, trainer.network
    count = len(images.paths)
    clusters = max(2, min(count // config.batch.instances, config.model.classes))
    agreement = np.full((count, network.parts), 0.5, np.float32)
    pseudo = PseudoLabels(np.arange(count) % clusters, agreement)
    features = torch.rand(1 + network.parts, 1, network.feature_size, device=trainer.device)
    features = F.normalize(features, dim=2).expand(-1, count, -1)  # of many images gigabytes
    trainer.method.begin_epoch(features, pseudo, images.cameras)
    network.train()
    trainer.steps.begin_epoch(trainer.epoch)
    return Batches(images, pseudo, config, trainer.epoch, trainer.runtime)


def _timed(work: Callable[[int], object], runtime: Runtime) -> float:
    """Return the median seconds of a call; the first one sets libraries up and is not counted."""
    times: list[float] = []
    began = time.monotonic()
    while len(times) <= MOST:
        start = time.monotonic()
        work(len(times))
        if runtime.device.type == "cuda":
            torch.cuda.synchronize(runtime.device)
        times.append(time.monotonic() - start)
        late = runtime.processes.largest(int(time.monotonic() - began > SECONDS))
        if late and len(times) > LEAST:
            break
    return median(times[1:])
