"""Search: the nearest images of a folder for each query image."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from pplr_cli.data.images import ImageSet
from pplr_cli.ingest.folder import same_files
from pplr_cli.retrieval.crops import Crops
from pplr_cli.retrieval.nearest import NONE, Nearest
from pplr_cli.retrieval.queries import AsOne, Groups, group_images, query_names
from pplr_cli.retrieval.ranking import observe, ranking_blocks


class Match(NamedTuple):
    """An image that was found: its file, and its Euclidean distance to the query (0 to 2)."""

    file: Path
    distance: float


class Found(NamedTuple):
    """A query (image, or folder of several) and its nearest gallery images, nearest first."""

    query: Path
    matches: list[Match]


def nearest_images(
    query: Crops,
    gallery: Crops,
    *,
    budget: int,
    top: int = 10,
    max_distance: float = np.inf,
    as_one: AsOne | None = None,
) -> list[Found]:
    """Return the `top` nearest gallery images of each query, by Euclidean distance.

    A query's own files in the gallery are left out.

    Args:
        query: images.
        gallery: G images.
        budget: bytes that a block of distances may take.
        top: images wanted of each query.
        max_distance: leave out images that are farther.
        as_one: the images of a folder or of a track are one query, by the mean of their features.

    Raises:
        UsageError: by track, but the query images have none.
    """
    wanted, searched = query.images, gallery.images
    groups = group_images(wanted, as_one)
    own = _own_files(wanted, searched, groups)
    nearest = Nearest(min(top, len(searched)), own)
    vectors = groups.mean(query.features[0])
    blocks = ranking_blocks(vectors, gallery.features[0], budget=budget)
    observe(blocks, (len(vectors), len(searched)), nearest.update)
    found, files = [], searched.files
    names = query_names(wanted, groups, as_one)
    for name, images, squared in zip(names, *nearest.ranked, strict=True):
        pairs = zip(images, np.sqrt(squared.clip(min=0)), strict=True)
        near = [(n, float(d)) for n, d in pairs if n != NONE and d <= max_distance]
        found.append(Found(name, [Match(files[n], distance) for n, distance in near]))
    return found


def _own_files(query: ImageSet, gallery: ImageSet, groups: Groups) -> csr_array:
    """Return each query's own files in the gallery."""
    places = {file: place for place, file in enumerate(same_files(gallery))}
    found = np.array([places.get(file, NONE) for file in same_files(query)], np.int64)
    pairs = np.stack((groups.of, found))[:, found != NONE]
    ones, shape = np.ones(pairs.shape[1], np.bool_), (len(groups.first), len(gallery))
    return csr_array((ones, tuple(pairs)), shape=shape)
