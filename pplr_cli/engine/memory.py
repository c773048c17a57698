"""Estimate the memory of a run, and size retrieval's blocks of distances by a budget.

The label stage ignores the budget: its k-NN tiles (16 MB a thread) and Jaccard blocks (some MB a
thread) are small for any N, and fixed, because a matrix product of another shape may round
differently. Its results grow with N, by some kilobytes an image.
"""

from functools import lru_cache
from typing import NamedTuple

import torch

from pplr_cli import host
from pplr_cli.config.fields import Agreement, Clustering, Config, Model
from pplr_cli.engine.network import Network
from pplr_cli.engine.replicas import set_replicas
from pplr_cli.labelling.cpu_search import TILE

LARGEST_BLOCK = 1 << 28
"""Bytes of a block of distances: larger ones do not make retrieval faster."""
ENTRY = 8
"""Bytes of a sparse entry: a float32 and an int32."""
INFOMAP = 5400
"""Bytes of Infomap's network for each image, as measured with 200,000 images."""


def budget(memory_gb: float | None) -> int:
    """Return the budget in bytes: `engine.memory_gb`, or half of the free memory."""
    if memory_gb is not None:
        return int(memory_gb * 1e9)
    return host.memory()["free"] // 2 or 4 * LARGEST_BLOCK


def distance_block(memory: int) -> int:
    """Return the bytes of a block of distances, so that two of them and copies fit a budget."""
    return min(LARGEST_BLOCK, memory // 4)


def features(images: int, branches: int, size: int) -> int:
    """Return the bytes of float32 features [branches, N, D]."""
    return 4 * branches * images * size


def label_stage(
    images: int, parts: int, size: int, clustering: Clustering, agreement: Agreement
) -> int:
    """Estimate the peak of the label stage above the features [1 + P, N, D], in bytes, on the CPU.

    Assumes what was measured on crowded features: k-reciprocal sets of k1 images, four times as
    many entries in an averaged row, 2 k1 images within eps.
    """
    k1, near = clustering.k1, agreement.k + 1
    lists = 3 if clustering.distance == "camera_jaccard" else 1
    ranks = 4 * lists * max(k1, near) + 4 * parts * near + ENTRY * near
    sets = ENTRY * k1 + 4 * k1
    averaged = ENTRY * k1 * min(4, clustering.k2)
    kept = ENTRY * 2 * k1
    own = INFOMAP if clustering.algorithm == "infomap" else 0
    tiles = max(2, torch.get_num_threads()) * 4 * min(TILE, images) ** 2
    searched = size + 4 * lists * max(k1, near)  # 8-bit features, distances
    # three copies of the means of half as many tracks
    means = 3 * 4 * size // 2 if clustering.find_tracks else 0
    return tiles + images * (ranks + max(searched, sets + 2 * averaged + 2 * kept + own, means))


def retrieval(queries: int, gallery: int, size: int, memory: int) -> int:
    """Estimate the peak of an evaluation in bytes, its features included."""
    row = 4 * gallery
    block = min(max(distance_block(memory), row), queries * row)
    return features(queries + gallery, 1, size) + 2 * block


class Training(NamedTuple):
    """The memory of the network in training, in bytes."""

    state: int  # of the weights, their gradients and Adam's two moments
    batch: int  # kept for the backward pass of one batch, without workspaces
    feature_size: int


def training(config: Config) -> Training:
    """Count the memory of the network by a forward pass on the meta device."""
    size = config.data.height, config.data.width
    return _training(config.model, config.batch.size, config.batch.replicas, size)


@lru_cache
def _training(model: Model, batch: int, replicas: int, size: tuple[int, int]) -> Training:
    with torch.device("meta"):
        network = Network.of(model)
        images = torch.empty(batch, 3, *size)
    set_replicas(network, replicas)
    weights = sum(weight.numel() for weight in network.parameters())
    own = {weight.untyped_storage()._cdata for weight in network.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(images, model.classes)  # alive while its storages are counted
    sizes = [t.untyped_storage().nbytes() for key, t in saved.items() if key not in own]
    del output
    return Training(16 * weights, sum(sizes), network.feature_size)
