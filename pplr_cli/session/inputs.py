"""The inputs of a run: find them, and check that they fit, before training starts."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pplr_cli import env
from pplr_cli.config.fields import Config
from pplr_cli.config.fitting import fitted
from pplr_cli.data.images import UNKNOWN, ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.zoo import check_backbone
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.layouts import FOLDER
from pplr_cli.ingest.library import find_dataset, open_dataset
from pplr_cli.ingest.request import crops_command
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.near_duplicates import NO_EFFECT, by_tracks
from pplr_cli.labelling.stage import check_clustering, require_packages
from pplr_cli.progress import Reporter
from pplr_cli.report import loggers
from pplr_cli.runs.folder import ANSWERS
from pplr_cli.session.request import TrainingRequest
from pplr_cli.weights.catalogue import StartFile
from pplr_cli.weights.initial import check_initial_weights, initial_weights, to_download


class Inputs(NamedTuple):
    """What a run starts from, found and checked."""

    config: Config  # the settings
    weights: Path | None  # file of the initial weights; None = random
    manifest: Manifest  # the data set
    images: ImageSet  # its training images
    tracks: Tracks | None  # their tracks; None if the data set has none
    answers: Answers | None = None  # what people answered about these images, if anything
    download: StartFile | None = None  # weights that a dry run does not download


def find_inputs(request: TrainingRequest, processes: int, reporter: Reporter) -> Inputs:
    """Find and check all that training needs; download weights and prepare data if need be.

    The cheapest checks come first: weights are downloaded after prepared data is checked, but
    before data is prepared or verified. A dry run downloads no weights.

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
    manifest = find_dataset(name, folder, replace(request, data="NAME").command())
    download = to_download(config.model) if request.dry_run else None
    if manifest is None or request.verify:
        weights = initial_weights(config.model, reporter, fetch=not request.dry_run)
        manifest = open_dataset(name, folder, reporter, verify=request.verify)
        config, images, tracks = _fitted_to(manifest, config, request, reporter)
    else:
        config, images, tracks = _fitted_to(manifest, config, request, reporter)
        weights = initial_weights(config.model, reporter, fetch=not request.dry_run)
    kept = request.folder / ANSWERS
    file = request.answers or (kept if request.resumes and kept.is_file() else None)
    of, answers = None if tracks is None else tracks.of, None
    if file is not None:
        answers = read_answers(file, images.paths, of, reporter)
    return Inputs(config, weights, manifest, images, tracks, answers, download)


def _fitted_to(
    manifest: Manifest, config: Config, request: TrainingRequest, reporter: Reporter
) -> tuple[Config, ImageSet, Tracks | None]:
    """Fit the settings to the data and check both; return settings, training images and tracks."""
    images = manifest.split(Split.TRAIN)
    config = fitted(config, len(images), reporter)
    tracks = Tracks.from_images(images) if config.clustering.tracks else None
    tracked = by_tracks(config.clustering, images.cameras, tracks)
    check(config, manifest, tracked=tracked)
    if request.mode == "train-cam":
        check_cameras(request, manifest)
    check_clustering(config.clustering, images.cameras, tracks)
    if config.clustering.find_tracks and not tracked:
        reporter.info(NO_EFFECT)
    return config, images, tracks


def check(config: Config, manifest: Manifest, *, tracked: bool = False) -> None:
    """Check that the training images suffice for the settings.

    Args:
        config: the settings.
        manifest: the data set.
        tracked: whether tracks are clustered, which is possible with any number of images.

    Raises:
        UsageError: fewer images than the neighbour search or a batch needs.
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


def check_cameras(request: TrainingRequest, manifest: Manifest) -> None:
    """Check that all training images have a camera label, of two cameras or more.

    Raises:
        DataError: camera labels are missing, or there is only one camera.
    """
    images = manifest.split(Split.TRAIN)
    cameras = np.unique(images.cameras[images.cameras != UNKNOWN])
    bare = int((images.cameras == UNKNOWN).sum())
    if not bare and len(cameras) > 1:
        return
    if not len(cameras):
        what = "no training image has a camera label"
    elif bare:
        known = f"{len(images) - bare:,} of {len(images):,}"
        what = f"only {known} training images have a camera label"
    else:
        what = f"all training images are of one camera, `{images.names.camera(cameras[0])}`"
    hint = f"train without cameras: `{replace(request, mode='train').command()}`"
    if manifest.layout == FOLDER:
        own = crops_command(manifest.name, env.data_dir(request.data_dir), "--update")
        hint += f"\nor add cameras, here from a folder for each: `{own}`, then repeat this command"
    raise DataError(
        f"data set `{manifest.name}`: {what}; `pplr train-cam` needs labels of two cameras or more",
        hint,
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
