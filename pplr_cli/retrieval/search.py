"""Search: which images of a folder are nearest to some others."""

import numpy as np
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import ImageSet
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.ingest.folder import same_files
from pplr_cli.parallel import Lists
from pplr_cli.retrieval.nearest import Nearest, Ranked
from pplr_cli.retrieval.ranking import ranking_blocks
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

    A query that lies in the gallery is not found by itself.

    Args:
        network: whose global features are compared.
        query: Q images.
        gallery: G images.
        config: image size, batch of extraction, memory budget.
        runtime: where the network is.
        top: images wanted of each query.

    Raises:
        DataError: images are broken, all of a folder's listed together.
    """
    features = [_features(network, images, config, runtime) for images in (query, gallery)]
    budget = memory.distance_block(memory.budget(config.engine.memory_gb))
    nearest, first = Nearest(top, _themselves(query, gallery)), 0
    for block in ranking_blocks(*features, budget=budget):
        nearest.see(block, first)
        first += len(block)
    images, squared = nearest.ranked
    return Ranked(images, np.sqrt(squared.clip(min=0)))


def _features(network: Network, images: ImageSet, config: Config, runtime: Runtime) -> Tensor:
    store = ImageStore.open(images, config.data, runtime)
    return extract(network, store, runtime, batch=config.engine.extract_batch, parts=False)[0]


def _themselves(query: ImageSet, gallery: ImageSet) -> Lists:
    """Return for each query its own file in the gallery."""
    places = {file: place for place, file in enumerate(same_files(gallery))}
    found = (places.get(file) for file in same_files(query))
    return Lists.of([np.array([] if p is None else [p], np.int64) for p in found])
