"""The inputs of a run: find them, and check that they fit, before training starts."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pplr_cli import env
from pplr_cli.config.fields import Config, Mode
from pplr_cli.config.fitting import fitted
from pplr_cli.data.images import UNKNOWN, ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.zoo import check_backbone
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.library import find_dataset, open_dataset
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.near_duplicates import NO_EFFECT, by_tracks
from pplr_cli.labelling.stage import check_clustering, require_packages
from pplr_cli.progress import Reporter
from pplr_cli.report import loggers
from pplr_cli.runs.folder import ANSWERS
from pplr_cli.session.request import TrainingRequest
from pplr_cli.weights.initial import check_initial_weights, initial_weights


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
    if request.mode == "train" and any(text.startswith("camera.") for text in request.settings):
        hint = "use `pplr train-cam`, or leave out `camera.` to change the setting of `train`"
        reporter.warn("`--set camera...` has no effect on `pplr train`", hint)
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
    tracks = Tracks.from_images(images) if config.clustering.tracks else None
    tracked = by_tracks(config.clustering, images.cameras, tracks)
    check(config, request.mode, manifest, tracked=tracked)
    check_clustering(config.clustering, images.cameras, tracks)
    if config.clustering.find_tracks and not tracked:
        reporter.info(NO_EFFECT)
    kept = request.folder / ANSWERS
    file = request.answers or (kept if request.resumes and kept.is_file() else None)
    of, answers = None if tracks is None else tracks.of, None
    if file is not None:
        answers = read_answers(file, images.paths, of, reporter)
    return Inputs(config, weights, manifest, images, tracks, answers)


def check(config: Config, mode: Mode, manifest: Manifest, *, tracked: bool = False) -> None:
    """Check that the training images suffice for the settings.

    Args:
        config: the settings.
        mode: whether cameras are needed.
        manifest: the data set.
        tracked: whether tracks are clustered, which is possible with any number of images.

    Raises:
        UsageError: fewer images than the neighbour search or a batch needs.
        DataError: camera losses, but fewer than two cameras.
    """
    images = manifest.split(Split.TRAIN)
    needs = {"batch.size": config.batch.size}
    if not tracked:
        needs |= {"clustering.k1": config.clustering.k1, "agreement.k": config.agreement.k + 1}
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
