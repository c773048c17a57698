"""Search: the nearest images of a folder for each query image."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from pplr_cli.data.manifest import ImageSet
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.ingest.folder import HINT, open_folder, same_files, without_broken
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.nearest import NONE, Nearest
from pplr_cli.retrieval.ranking import observe, ranking_blocks
from pplr_cli.retrieval.relevance import Lists
from pplr_cli.runtime import Runtime


class Match(NamedTuple):
    """An image that was found: its file, and its Euclidean distance to the query (0 to 2)."""

    file: Path
    distance: float


class Found(NamedTuple):
    """A query image and its nearest gallery images, nearest first."""

    query: Path
    matches: list[Match]


def open_crops(path: Path, runtime: Runtime, *, skip_bad: bool = False) -> ImageSet:
    """Return the images below a folder, or the one image that `path` is.

    Raises:
        DataError: there is no image, or, with `skip_bad`, none that can be decoded.
    """
    images = open_folder(path, runtime.reporter, f"{HINT}, or leave them out with --skip-bad")
    return without_broken(images, runtime.reporter, runtime.workers) if skip_bad else images


def nearest_images(
    model: Model, query: ImageSet, gallery: ImageSet, *, top: int = 10
) -> list[Found]:
    """Return the `top` nearest gallery images of each query, by Euclidean distance.

    A query's own file in the gallery is left out.

    Raises:
        DataError: images are broken; the message lists all of a folder.
    """
    features = [_features(model, images) for images in (query, gallery)]
    budget = memory.distance_block(memory.budget(model.config.engine.memory_gb))
    nearest = Nearest(min(top, len(gallery)), _own_files(query, gallery))
    blocks = ranking_blocks(*features, budget=budget)
    observe(blocks, (len(query), len(gallery)), nearest)
    found = []
    for file, images, squared in zip(query.files, *nearest.ranked, strict=True):
        distances = np.sqrt(squared.clip(min=0))
        pairs = zip(images, distances, strict=True)
        matches = [Match(gallery.files[n], float(d)) for n, d in pairs if n != NONE]
        found.append(Found(file, matches))
    return found


def _features(model: Model, images: ImageSet) -> Tensor:
    runtime, batch = model.runtime, model.config.engine.extract_batch
    store = ImageStore.open(images, model.config.data, runtime)
    return extract(model.network, store, runtime, batch=batch, parts=False)[0]


def _own_files(query: ImageSet, gallery: ImageSet) -> Lists:
    """Return each query's own file in the gallery."""
    places = {file: place for place, file in enumerate(same_files(gallery))}
    found = [places.get(file, NONE) for file in same_files(query)]
    own = np.array(found, np.int64)
    return Lists.from_pairs(np.flatnonzero(own != NONE), own[own != NONE], len(own))
