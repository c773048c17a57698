"""Exact nearest neighbours under squared L2 distance, in float32.

faiss where it can use the device that holds the features, else a blocked matrix product in torch.
"""

from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.errors import DataError

BLOCK_BYTES = 1 << 28
"""Size of a block of distances in the torch search."""


def nearest(features: Tensor, k: int) -> NDArray[np.int32]:
    """Return each image's k nearest images, nearest first, **itself always in column 0**.

    Args:
        features: float32 [N, D] on the CPU or on a GPU.
        k: neighbours, the image itself included.

    Returns:
        int32 [N, k]. Exact duplicates of an image never push it from its own list.

    Raises:
        DataError: k exceeds N, or a feature is not finite.
    """
    if k > len(features):
        raise DataError(
            f"{len(features)} images are too few for a search of {k} neighbours",
            "lower `clustering.k1` and `agreement.k`, or use more images",
        )
    if not torch.isfinite(features).all():
        raise DataError("features hold NaN or infinite values", "are the weights damaged?")
    search = _faiss_search if _faiss_serves(features.device) else _torch_search
    return itself_first(search(features.float(), k))


def itself_first(ranks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Move each row's own index to column 0, in place; where it is missing the last one gives way.

    Distances of duplicates tie at zero up to rounding, so any order of them is right; this one
    makes the result defined.
    """
    rows = np.flatnonzero(ranks[:, 0] != np.arange(len(ranks)))
    if len(rows):
        moved = ranks[rows]
        missing = (moved != rows[:, None]).all(axis=1)
        moved[missing, -1] = rows[missing]
        order = np.argsort(moved != rows[:, None], axis=1, kind="stable")
        ranks[rows] = np.take_along_axis(moved, order, axis=1)
    return ranks


def _faiss_serves(device: torch.device) -> bool:
    """Tell whether faiss is installed and can search on `device`."""
    if find_spec("faiss") is None:
        return False
    if device.type == "cpu":
        return True
    import faiss

    return device.type == "cuda" and getattr(faiss, "get_num_gpus", int)() > 0


def _faiss_search(features: Tensor, k: int) -> NDArray[np.int32]:
    import faiss

    vectors = features.cpu().numpy()
    if features.device.type == "cuda":
        resources = faiss.StandardGpuResources()
        _, ranks = faiss.knn_gpu(resources, vectors, vectors, k, device=features.device.index or 0)
    else:
        _, ranks = faiss.knn(vectors, vectors, k)
    return np.ascontiguousarray(ranks, dtype=np.int32)


def _torch_search(features: Tensor, k: int) -> NDArray[np.int32]:
    """Search by blocks of rows: of |a|^2 + |b|^2 - 2ab only the last two terms order a row."""
    squares = features.square().sum(1)
    rows = max(1, BLOCK_BYTES // (4 * len(features)))
    ranks = [
        torch.addmm(squares, block, features.T, alpha=-2).topk(k, largest=False).indices.int()
        for block in features.split(rows)
    ]
    return torch.cat(ranks).cpu().numpy()
