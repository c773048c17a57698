"""Search: the nearest images of a folder for each query image."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pplr_cli.data.manifest import ImageSet
from pplr_cli.ingest.folder import same_files
from pplr_cli.retrieval.crops import Crops
from pplr_cli.retrieval.nearest import NONE, Nearest
from pplr_cli.retrieval.ranking import observe, ranking_blocks
from pplr_cli.retrieval.relevance import Lists


class Match(NamedTuple):
    """An image that was found: its file, and its Euclidean distance to the query (0 to 2)."""

    file: Path
    distance: float


class Found(NamedTuple):
    """A query image and its nearest gallery images, nearest first."""

    query: Path
    matches: list[Match]


def nearest_images(query: Crops, gallery: Crops, *, top: int = 10, budget: int) -> list[Found]:
    """Return the `top` nearest gallery images of each query, by Euclidean distance.

    A query's own file in the gallery is left out.

    Args:
        query: Q images.
        gallery: G images.
        top: images wanted of each query.
        budget: bytes that a block of distances may take.
    """
    wanted, searched = query.images, gallery.images
    nearest = Nearest(min(top, len(searched)), _own_files(wanted, searched))
    blocks = ranking_blocks(query.features[0], gallery.features[0], budget=budget)
    observe(blocks, (len(wanted), len(searched)), nearest)
    found, files = [], searched.files
    for file, images, squared in zip(wanted.files, *nearest.ranked, strict=True):
        distances = np.sqrt(squared.clip(min=0))
        pairs = zip(images, distances, strict=True)
        matches = [Match(files[n], float(d)) for n, d in pairs if n != NONE]
        found.append(Found(file, matches))
    return found


def _own_files(query: ImageSet, gallery: ImageSet) -> Lists:
    """Return each query's own file in the gallery."""
    places = {file: place for place, file in enumerate(same_files(gallery))}
    found = [places.get(file, NONE) for file in same_files(query)]
    own = np.array(found, np.int64)
    return Lists.from_pairs(np.flatnonzero(own != NONE), own[own != NONE], len(own))
