"""The Python API: what the commands do, as functions; silent unless given a `reporter`."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from pplr_cli import env, host
from pplr_cli.config import presets
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.errors import PplrError
from pplr_cli.ingest import library
from pplr_cli.ingest.folder import is_prepared, open_images
from pplr_cli.ingest.known import read_known
from pplr_cli.ingest.library import open_dataset
from pplr_cli.ingest.prepare import Prepared
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.progress import SILENT, Reporter
from pplr_cli.retrieval.assign import Assigned, assign_images
from pplr_cli.retrieval.clusters import Clustered, cluster_images
from pplr_cli.retrieval.crops import extract_crops
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.protocol import Protocol, SameCamera
from pplr_cli.retrieval.queries import AsOne
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.retrieval.search import Found, nearest_images
from pplr_cli.runs.records import Run
from pplr_cli.runtime import Runtime, choose_device
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.start import run_training

AnyPath = str | PathLike[str]


def load(
    path: AnyPath,
    *,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int = host.cores(),
    cache: bool = True,
    reporter: Reporter = SILENT,
) -> Model:
    """Load a weights file as a network that computes retrieval features.

    Args:
        path: `best.pth` or `last.pth` of a run, or an official PPLR file.
        preset: settings of a file that records none: name or path.
        overrides: settings by dotted key, such as `{"data.height": 256}`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.
        workers: threads that decode images.
        cache: keep decoded data sets and galleries on disk.
        reporter: gets progress and warnings.

    Raises:
        UsageError: the settings are wrong, or unknown.
        WeightsError: the file cannot be read, or has another architecture.
    """
    runtime = Runtime(choose_device(device), reporter, workers=workers, cache=cache)
    return Model.load(Path(path), runtime, preset, presets.as_texts(overrides or {}))


def prepare(
    layout: str,
    *sources: AnyPath,
    data_dir: AnyPath | None = None,
    reporter: Reporter = SILENT,
    **options: Any,
) -> Prepared:
    """Check a data set and store it under its name in the data folder.

    Args:
        layout: `market`, `msmt17`, `veri`, `duke`, `cuhk03`, `personx`, `mars`, `vehicleid`,
            `veriwild`, `folder`, `mot` or `synthetic`.
        sources: archives or a folder; by default found in the data folder.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        reporter: gets progress and warnings.
        options: `name`, `pattern`, `table`, `link`, ...: the fields of `PrepareRequest`.

    Raises:
        UsageError: options that exclude each other.
        DataError: the source cannot be used.
    """
    files, folder = tuple(map(Path, sources)), env.data_dir(_path(data_dir))
    request = PrepareRequest(layout, files, folder, **_with_paths(options, "table", "boxes"))
    return library.prepare(request, reporter)


def train(
    preset: AnyPath | None,
    data: str | None = None,
    cameras: bool = False,
    run_dir: AnyPath | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    data_dir: AnyPath | None = None,
    reporter: Reporter = SILENT,
    **options: Any,
) -> Run:
    """Train a network without identity labels.

    Args:
        preset: name or path; None to resume a run with the settings that it recorded.
        data: name of a prepared data set; by default the preset's.
        cameras: train with camera labels, as `pplr train-cam` does.
        run_dir: where the run is recorded; by default `runs/<preset>[-<data>]-<mode>[-seed<N>]`.
        overrides: settings by dotted key, such as `{"optim.epochs": 10}`.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        reporter: gets progress and warnings.
        options: `seed`, `device`, `resume`, `overwrite`, ...: the fields of `TrainingRequest`,
            which are the options of `pplr train`.

    Raises:
        StoppedError: a signal (Ctrl-C, the stop button of a notebook) ended the run; its state is
            saved.
        PplrError: anything else that a user can cause or fix.
    """
    request = TrainingRequest(
        mode="train-cam" if cameras else "train",
        preset=None if preset is None else str(preset),
        data=data,
        data_dir=_path(data_dir),
        run_dir=_path(run_dir),
        settings=tuple(presets.as_texts(overrides or {})),
        **_with_paths(options, "resume_from", "answers"),
    )
    return run_training(request, reporter) or Run(request.folder)


def evaluate(
    model: Model | AnyPath,
    data: str | None = None,
    rerank: bool = False,
    *,
    same_camera: SameCamera = "ignore",
    leave_one_out: bool = False,
    as_one: Literal["track"] | None = None,
    data_dir: AnyPath | None = None,
    verify: bool = False,
) -> Scores:
    """Score a network on the labelled images of a data set.

    Args:
        model: what `load` returned, or a weights file.
        data: name of a prepared data set; by default the one it was trained on.
        rerank: rank by k-reciprocal re-ranked distances.
        same_camera: `ignore` or `keep` images of the query's identity and camera.
        leave_one_out: compare each labelled image with all others.
        as_one: `track`: the query images of a track are one query.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        verify: compare every image with the manifest first.

    Raises:
        DataError: the data set is missing, damaged, or has no labelled images to compare.
    """
    model = _loaded(model)
    runtime, name = model.runtime, data or model.config.data.name
    folder = env.data_dir(_path(data_dir))
    manifest = open_dataset(name, folder, runtime.reporter, verify=verify)
    protocol = Protocol(same_camera, leave_one_out, as_one)
    return Evaluator(manifest, model.config, runtime, protocol).scores(model.network, rerank=rerank)


def cluster(
    model: Model | AnyPath,
    source: AnyPath,
    *,
    pattern: str | None = None,
    data_dir: AnyPath | None = None,
    skip_bad: bool = False,
) -> Clustered:
    """Group images into identities without training.

    Args:
        model: what `load` returned, or a weights file.
        source: a folder of images, or the name of a prepared data set.
        pattern: for a folder: regular expression that finds camera and track in each path.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        DataError: a path is missing, images cannot be decoded, or there are too few.
    """
    model, folder = _loaded(model), env.data_dir(_path(data_dir))
    images = open_images(Path(source), folder, model.runtime.reporter, pattern=pattern)
    return cluster_images(model, images, skip_bad=skip_bad)


def assign(
    model: Model | AnyPath,
    known: AnyPath,
    source: AnyPath,
    *,
    known_images: AnyPath | None = None,
    max_distance: float | None = None,
    pattern: str | None = None,
    data_dir: AnyPath | None = None,
    skip_bad: bool = False,
) -> Assigned:
    """Give images the identities of known ones, or new identities.

    Args:
        model: what `load` returned, or a weights file.
        known: a table with `path` and `pseudo_identity`, or a folder with one per identity.
        source: a folder of images, or the name of a prepared data set.
        known_images: folder or data set of the table's images; by default `source`.
        max_distance: largest distance to a known image; by default chosen from the known ones.
        pattern: for a folder: regular expression that finds camera and track in each path.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        UsageError: no distance can be chosen.
        DataError: a path is missing, or images cannot be decoded.
    """
    model, folder = _loaded(model), env.data_dir(_path(data_dir))
    reporter = model.runtime.reporter
    images = open_images(Path(source), folder, reporter, pattern=pattern)
    others = images
    if known_images is not None:
        its = None if is_prepared(Path(known_images), folder) else pattern
        others = open_images(Path(known_images), folder, reporter, pattern=its)
    labelled = read_known(Path(known), others, reporter)
    return assign_images(model, labelled, images, max_distance=max_distance, skip_bad=skip_bad)


def search(
    model: Model | AnyPath,
    query: AnyPath,
    gallery: AnyPath,
    top: int = 10,
    *,
    max_distance: float = np.inf,
    as_one: AsOne | None = None,
    data_dir: AnyPath | None = None,
    skip_bad: bool = False,
) -> list[Found]:
    """Find the nearest images of a folder for each query image.

    Args:
        model: what `load` returned, or a weights file.
        query: an image, a folder of images, or the name of a prepared data set.
        gallery: a folder of images, at any depth, or the name of a prepared data set.
        top: images wanted of each query.
        max_distance: leave out images that are farther.
        as_one: `folder` or `track`: its images are one query.
        data_dir: the data folder; by default `PPLR_DATA_DIR`, else `./data`.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        DataError: a path is missing, or images cannot be decoded.
    """
    model, folder = _loaded(model), env.data_dir(_path(data_dir))
    opened = [open_images(Path(path), folder, model.runtime.reporter) for path in (query, gallery)]
    wanted, searched = (extract_crops(model, images, skip_bad=skip_bad) for images in opened)
    return nearest_images(
        wanted,
        searched,
        budget=model.distance_budget,
        top=top,
        max_distance=max_distance,
        as_one=as_one,
    )


def pseudo_labels(
    features: ArrayLike | Tensor,
    cameras: ArrayLike | None = None,
    settings: Clustering | None = None,
    *,
    agreement: Agreement | None = None,
    reporter: Reporter = SILENT,
) -> PseudoLabels:
    """Cluster features as each epoch of training does.

    Args:
        features: float [N, D], or [1 + P, N, D] with the features of P parts behind the global
            ones; L2-normalised here.
        cameras: int [N], or None if unknown.
        settings: k1, k2, eps, min_samples; by default those of the paper.
        agreement: neighbours that are compared between global and part features.
        reporter: gets progress.

    Raises:
        DataError: fewer images than neighbours, or features that are not finite.
    """
    rows = torch.as_tensor(features, dtype=torch.float32)
    if rows.dim() not in (2, 3):
        raise PplrError(f"features of shape {list(rows.shape)}", "expected [N, D] or [1 + P, N, D]")
    rows = F.normalize(rows if rows.dim() == 3 else rows[None], dim=2)
    known = np.zeros(rows.shape[1]) if cameras is None else cameras
    runtime = Runtime(rows.device, reporter)
    used = settings or Clustering(), agreement or Agreement()
    return label(rows, np.asarray(known, np.int64), *used, runtime)


def _loaded(model: Model | AnyPath) -> Model:
    return model if isinstance(model, Model) else load(model)


def _with_paths(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return options | {name: _path(options[name]) for name in names if name in options}


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)
