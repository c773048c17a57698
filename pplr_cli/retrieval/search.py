"""Search: the nearest images of a folder for each query image."""

import numpy as np
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import ImageSet
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.ingest.folder import same_files
from pplr_cli.retrieval.nearest import NONE, Nearest, Ranked
from pplr_cli.retrieval.ranking import observe, ranking_blocks
from pplr_cli.retrieval.relevance import Lists
from pplr_cli.runtime import Runtime


def search(
    network: Network,
    query: ImageSet,
    gallery: ImageSet,
    config: Config,
    runtime: Runtime,
    *,
    top: int,
) -> Ranked:
    """Return the `top` nearest gallery images of each query, by Euclidean distance (0 to 2).

    A query's own file in the gallery is left out.

    Args:
        network: computes the global features.
        query: Q images.
        gallery: G images.
        config: image size, extraction batch, memory budget.
        runtime: the device of the network.
        top: images wanted of each query.

    Raises:
        DataError: images are broken; the message lists all of a folder.
    """
    features = [_features(network, images, config, runtime) for images in (query, gallery)]
    budget = memory.distance_block(memory.budget(config.engine.memory_gb))
    nearest = Nearest(min(top, len(gallery)), _own_files(query, gallery))
    blocks = ranking_blocks(*features, budget=budget)
    observe(blocks, (len(query), len(gallery)), nearest)
    images, squared = nearest.ranked
    return Ranked(images, np.sqrt(squared.clip(min=0)))


def _features(network: Network, images: ImageSet, config: Config, runtime: Runtime) -> Tensor:
    store = ImageStore.open(images, config.data, runtime)
    return extract(network, store, runtime, batch=config.engine.extract_batch, parts=False)[0]


def _own_files(query: ImageSet, gallery: ImageSet) -> Lists:
    """Return each query's own file in the gallery."""
    places = {file: place for place, file in enumerate(same_files(gallery))}
    found = [places.get(file, NONE) for file in same_files(query)]
    own = np.array(found, np.int64)
    return Lists.from_pairs(np.flatnonzero(own != NONE), own[own != NONE], len(own))
