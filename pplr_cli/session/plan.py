"""What can be known before training starts: the inputs, whether they fit, what the run needs."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pplr_cli import env
from pplr_cli.config.fields import Config, Mode
from pplr_cli.config.fitting import fitted
from pplr_cli.data.manifest import UNKNOWN, ImageSet, Manifest, Split
from pplr_cli.data.store import cache_kind
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine import memory
from pplr_cli.engine.trainer import Trainer
from pplr_cli.engine.zoo import check_backbone
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.library import find_dataset, open_dataset
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.stage import check_clustering, require_packages
from pplr_cli.progress import Reporter
from pplr_cli.report import loggers
from pplr_cli.runs.folder import ANSWERS
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.speed import Speed
from pplr_cli.text import counted
from pplr_cli.timing import clock
from pplr_cli.weights.initial import check_initial_weights, initial_weights

Rows = list[tuple[str, str]]
"""Lines of a plan: what, value."""


class Inputs(NamedTuple):
    """What a run starts from, found and checked."""

    config: Config  # the settings
    weights: Path | None  # file of the initial weights; None = random
    manifest: Manifest  # the data set
    images: ImageSet  # its training images
    tracks: Tracks | None  # their tracks; None if the data set has none
    answers: Answers | None = None  # what people answered about these images, if anything


def find_inputs(request: TrainingRequest, processes: int, reporter: Reporter) -> Inputs:
    """Find and check all that training needs; download weights and prepare data if need be.

    The cheapest checks come first.

    Raises:
        PplrError: something is missing or does not fit.
    """
    config = request.config()
    for log in request.log:
        loggers.require(log)
    check_replicas(config, processes)
    require_packages(config.clustering)
    check_backbone(config.model.backbone, config.data.height, config.data.width)
    check_initial_weights(config.model)
    name, folder = config.data.name, env.data_dir(request.data_dir)
    manifest = find_dataset(name, folder)
    weights = initial_weights(config.model, reporter)
    if manifest is None or request.verify:
        manifest = open_dataset(name, folder, reporter, verify=request.verify)
    images = manifest.split(Split.TRAIN)
    config = fitted(config, len(images), reporter)
    check(config, request.mode, manifest)
    tracks = Tracks.from_images(images) if config.clustering.tracks else None
    check_clustering(config.clustering, images.cameras, tracks)
    kept = request.folder / ANSWERS
    file = request.answers or (kept if request.resumes and kept.is_file() else None)
    of, answers = None if tracks is None else tracks.of, None
    if file is not None:
        answers = read_answers(file, images.paths, of, reporter)
    return Inputs(config, weights, manifest, images, tracks, answers)


def check(config: Config, mode: Mode, manifest: Manifest) -> None:
    """Check that the training images suffice for the settings.

    Raises:
        UsageError: fewer images than the neighbour search or a batch needs.
        DataError: camera losses, but fewer than two cameras.
    """
    images = manifest.split(Split.TRAIN)
    needs = {
        "clustering.k1": config.clustering.k1,
        "agreement.k": config.agreement.k + 1,
        "batch.size": config.batch.size,
    }
    if config.clustering.distance == "camera_jaccard":
        needs["clustering.k1_own"] = config.clustering.k1_own
        needs["clustering.k1_others"] = config.clustering.k1_others
    key, need = max(needs.items(), key=lambda item: item[1])
    if len(images) < need:
        raise UsageError(
            f"data set `{manifest.name}` has {len(images)} training images, `{key}` needs {need}",
            f"lower `{key}` with --set, or use more images",
        )
    if mode == "train-cam":
        known = images.cameras != UNKNOWN
        cameras, bare = len(np.unique(images.cameras[known])), int((~known).sum())
        if bare or cameras < 2:
            some = cameras > 0 and bare > 0
            has = f"{bare:,} of {len(images):,} have none" if some else f"it has {cameras}"
            raise DataError(
                f"data set `{manifest.name}`: `pplr train-cam` needs the camera of every training "
                f"image, and two cameras or more: {has}",
                "use `pplr train`, or prepare the data set with its cameras",
            )


def check_replicas(config: Config, processes: int) -> None:
    """Check that the processes can share the replicas of a batch; `UsageError` if not."""
    replicas = config.batch.replicas
    if replicas % processes:
        fits = [str(n) for n in range(1, replicas + 1) if replicas % n == 0]
        raise UsageError(
            f"{processes} processes cannot share the {replicas} replicas of a batch",
            f"use --devices {' or '.join(fits)}, or another `batch.replicas` (results differ)",
        )


def plan(config: Config, manifest: Manifest) -> Rows:
    """Return what a run does and needs."""
    counts = {split: len(manifest.split(split)) for split in Split}
    optim, batch = config.optim, config.batch
    return [
        ("data set", f"{manifest.name} at {manifest.root}"),
        ("images", ", ".join(f"{count:,} {split}" for split, count in counts.items())),
        ("image size", f"{config.data.height} x {config.data.width}"),
        ("network", f"{config.model.backbone} from {config.model.weights}"),
        ("training", f"{counted(optim.epochs, 'epochs')} of {optim.iters} batches of {batch.size}"),
        ("replicas", f"{batch.replicas} of {batch.size // batch.replicas} images"),
        _cache(config, manifest),
        (
            "evaluation",
            "mAP and CMC" if manifest.can_evaluate else "none: no labelled query/gallery",
        ),
        *_memory(config, counts),
    ]


def duration(trainer: Trainer, inputs: Inputs, speed: Speed) -> Rows:
    """Return how often an epoch shows each image, and how long the remaining epochs take."""
    config, images = inputs.config, len(trainer.images.paths)
    optim, size = config.optim, config.batch.size
    passes = 1 if trainer.images.tracks is None else 2  # mirror images too
    epoch = optim.iters * speed.step + passes * images * speed.image
    splits = (Split.QUERY, Split.GALLERY) if inputs.manifest.can_evaluate else ()
    tested = sum(len(inputs.manifest.split(split)) for split in splits)
    numbers = range(trainer.epoch + 1, optim.epochs + 1)
    evaluations = _evaluations(trainer, config, numbers) if inputs.manifest.can_evaluate else 0
    total = len(numbers) * epoch + evaluations * tested * speed.image
    scores = f", {counted(evaluations, 'evaluations')}" if evaluations else ""
    return [
        ("device", f"{trainer.device}, processes: {trainer.processes.size}"),
        ("each training image", f"seen {optim.iters * size / images:.1f} times an epoch"),
        ("a step, measured", f"{speed.step:.3f} s ({size / speed.step:,.0f} images/s)"),
        *_search(trainer, speed),
        ("an epoch", f"about {clock(epoch)}, clustering not included"),
        ("the run", f"about {clock(total)}: {counted(len(numbers), 'epochs')}{scores}"),
    ]


def _search(trainer: Trainer, speed: Speed) -> Rows:
    """Return how long an epoch's neighbour searches take; tracks have none of this kind."""
    settings = trainer.config.clustering
    if trainer.images.tracks is not None:
        return []
    faster = "" if settings.search == "exact" else f"; `clustering.search` = `{settings.search}`"
    return [("neighbours, exact", f"about {clock(speed.search)} an epoch{faster}")]


def _cache(config: Config, manifest: Manifest) -> tuple[str, str]:
    """Return what the cache takes on disk; of packed files by the size of some."""
    sets = [images for split in Split if len(images := manifest.split(split))]
    total = 0.0
    for images in sets:
        kind = cache_kind(len(images), config.data)
        if kind == "compact":
            sizes = [file.stat().st_size for file in images.files[:: -(-len(images) // 1000)]]
            total += len(images) * float(np.mean(sizes))
        elif kind == "pixels":
            total += len(images) * 3 * config.data.height * config.data.width
    return "images in the cache on disk", f"{total / 1e9:.2f} GB"


def _evaluations(trainer: Trainer, config: Config, numbers: range) -> int:
    """Return how often the network is evaluated: after these epochs, and before the first."""
    start = config.evaluation.at_start and trainer.epoch == 0 and trainer.current is None
    last = config.optim.epochs
    return start + sum(n % config.evaluation.every == 0 or n == last for n in numbers)


def _memory(config: Config, counts: dict[Split, int]) -> Rows:
    """Return the memory of each stage; decoded images are mapped from disk and not counted."""
    images, parts = counts[Split.TRAIN], config.model.parts
    network = memory.training(config)
    size = network.feature_size
    stage = memory.label_stage(images, parts, config.clustering, config.agreement)
    limit = memory.budget(config.engine.memory_gb)
    found = memory.retrieval(counts[Split.QUERY], counts[Split.GALLERY], size, limit)
    share = "half of what is free" if config.engine.memory_gb is None else "as set"
    rows = {
        "network and optimiser": network.state,
        f"a batch of {config.batch.size}": network.batch,
        "features of the training images": memory.features(images, 1 + parts, size),
        "label stage, above the features": stage,
        "evaluation": found,
    }
    return [
        *((f"memory: {what}", f"{taken / 1e9:.2f} GB") for what, taken in rows.items()),
        ("memory budget", f"{limit / 1e9:.2f} GB ({share})"),
    ]
