"""Exact nearest neighbours under squared L2 distance, in float32.

The symmetric search serves the CPU, a blocked matrix product in torch a GPU.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.errors import DataError
from pplr_cli.labelling.cpu_search import camera_search, symmetric_search

Search = Callable[[Tensor, Tensor, int], NDArray[np.int32]]

BLOCK_BYTES = 1 << 28
"""Size of a block of distances in the torch search."""


class Neighbors(NamedTuple):
    """The nearest images of each image, int32 [N, k], nearest first.

    Attributes:
        ranks: of all images, the image itself in column 0.
        own: of its own camera, itself in column 0; -1 after the last. None if not searched.
        others: of all other cameras; -1 after the last. None if not searched.
    """

    ranks: NDArray[np.int32]
    own: NDArray[np.int32] | None = None
    others: NDArray[np.int32] | None = None


def nearest(features: Tensor, k: int) -> NDArray[np.int32]:
    """Return each image's k nearest images, int32 [N, k], nearest first, **itself in column 0**.

    Exact duplicates of an image never push it from its own list. The features [N, D] may be on the
    CPU or on a GPU.

    Raises:
        DataError: k exceeds N, or a feature is not finite or its square overflows.
    """
    features, squares = _checked(features, k)
    return itself_first(search_for(features.device)(features, squares, k))


def nearest_by_camera(features: Tensor, cameras: NDArray[np.int64], k: int) -> Neighbors:
    """Return each image's nearest of all images, of its own camera and of the others, in one pass.

    The arguments and errors are those of `nearest`; `cameras` is int64 [N].
    """
    features, squares = _checked(features, k)
    search = camera_search if features.device.type == "cpu" else torch_camera_search
    own, others, ranks = np.moveaxis(search(features, squares, k, cameras), 1, 0)
    return Neighbors(itself_first(ranks), itself_first(own), others)


def _checked(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the features in float32 and their squared norms; `DataError` if they do not suit."""
    if k > len(features):
        raise DataError(
            f"{len(features)} images are too few for a search of {k} neighbours",
            "lower `clustering.k1` and `agreement.k`, or use more images",
        )
    features = features.float()
    squares = torch.einsum("nd,nd->n", features, features)
    if not (squares < torch.finfo(torch.float32).max / 4).all():
        raise DataError("features hold NaN, infinite or huge values", "are the weights damaged?")
    return features, squares


def search_for(device: torch.device) -> Search:
    """Return the fastest search on `device`: it takes features, their squared norms and k."""
    return symmetric_search if device.type == "cpu" else torch_search


def torch_search(features: Tensor, squares: Tensor, k: int) -> NDArray[np.int32]:
    """Search by blocks of rows: of |a|^2 + |b|^2 - 2ab only the last two terms order a row."""
    rows = max(1, BLOCK_BYTES // (4 * len(features)))
    ranks = [
        torch.addmm(squares, block, features.T, alpha=-2).topk(k, largest=False).indices.int()
        for block in features.split(rows)
    ]
    return torch.cat(ranks).cpu().numpy()


def torch_camera_search(
    features: Tensor, squares: Tensor, k: int, cameras: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Search as `cpu_search.camera_search` does, by blocks of rows."""
    known = torch.from_numpy(cameras).to(features.device)
    rows = max(1, BLOCK_BYTES // (4 * len(features)))
    ranks = []
    for block, seen in zip(features.split(rows), known.split(rows), strict=True):
        distances = torch.addmm(squares, block, features.T, alpha=-2)
        own = seen[:, None] == known
        lists = []
        for hidden in (~own, own, torch.zeros_like(own)):
            found = distances.masked_fill(hidden, torch.inf).topk(k, largest=False)
            lists.append(found.indices.int().masked_fill_(found.values.isinf(), -1))
        ranks.append(torch.stack(lists, 1))
    return torch.cat(ranks).cpu().numpy()


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
