"""Exact nearest neighbours under squared L2 distance, in float32.

A symmetric search serves the CPU, a blocked matrix product in torch a GPU.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.errors import DataError
from pplr_cli.labelling.cpu_search import camera_search, symmetric_search
from pplr_cli.labelling.screened_search import screened_search, suits
from pplr_cli.progress import SILENT, Advance

Search = Callable[[Tensor, Tensor, int, Processes, Advance], NDArray[np.int32]]

BLOCK_BYTES = 1 << 28
"""Size of a block of distances in the torch search."""


class Neighbors(NamedTuple):
    """The nearest images of each image, int32 [N, k], nearest first."""

    ranks: NDArray[np.int32]  # of all images, the image itself in column 0
    # of its own camera, itself in column 0; -1 after the last. None if not searched
    own: NDArray[np.int32] | None = None
    # of all other cameras; -1 after the last. None if not searched
    others: NDArray[np.int32] | None = None
    # share of the k - 1 nearest others found, over a sample; None = exact search
    recall: float | None = None


def nearest(
    features: Tensor, k: int, processes: Processes = ALONE, advance: Advance = SILENT.advance
) -> NDArray[np.int32]:
    """Return each image's k nearest images, int32 [N, k], nearest first, **itself in column 0**.

    Exact duplicates of an image never push it from its own list. The features [N, D] may be on the
    CPU or on a GPU. Processes with the same features share the search and find the same neighbours
    as one; rank 0 gets them, the others get [0, k]. `advance` counts the images.

    Raises:
        DataError: k exceeds N, or a feature is not finite or its square overflows.
    """
    features, squares = checked(features, k)
    return itself_first(search_for(features)(features, squares, k, processes, advance))


def nearest_of_own_camera(
    features: Tensor,
    cameras: NDArray[np.int64],
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> NDArray[np.int32]:
    """Return each image's k nearest images of its own camera, int32 [N, k], itself in column 0.

    Searches one camera after the other. Where a camera has fewer than k images, -1 follows them.
    The arguments and errors are those of `nearest`; `cameras` is int64 [N].
    """
    found = np.full((len(features), k), -1, np.int32)
    order = np.argsort(cameras, kind="stable")
    for images in np.split(order, np.flatnonzero(np.diff(cameras[order])) + 1):
        seen, most = features[torch.from_numpy(images).to(features.device)], min(k, len(images))
        ranks = nearest(seen, most, processes, advance)
        if processes.first:
            found[images, :most] = images[ranks]
    return found if processes.first else found[:0]


def nearest_by_camera(
    features: Tensor,
    cameras: NDArray[np.int64],
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> Neighbors:
    """Return each image's nearest of all images, of its own camera and of the others, in one pass.

    The arguments and errors are those of `nearest`; `cameras` is int64 [N].
    """
    features, squares = checked(features, k)
    search = camera_search if features.device.type == "cpu" else torch_camera_search
    found = search(features, squares, k, cameras, processes, advance)
    own, others, ranks = np.moveaxis(found, 1, 0)
    return Neighbors(itself_first(ranks), itself_first(own), others)


def checked(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return features as float32 [N, D] and |f|^2 of each row; raises as `nearest` does."""
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


def search_for(features: Tensor) -> Search:
    """Return the fastest exact search: it takes features, their squared norms, k and processes."""
    if features.device.type != "cpu":
        return torch_search
    return screened_search if suits(features) else symmetric_search


def torch_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> NDArray[np.int32]:
    """Search by blocks of rows, which processes share."""
    blocks = _own_blocks(features, processes, advance)
    found = [nearest_of(rows, features, squares, k) for rows in blocks]
    return _gathered(found, (0, k), processes)


def nearest_of(
    rows: slice | Tensor, features: Tensor, squares: Tensor, k: int
) -> NDArray[np.int32]:
    """Return the k nearest of all images to some: of |a|^2 + |b|^2 - 2ab two terms order a row."""
    distances = torch.addmm(squares, features[rows], features.T, alpha=-2)
    return distances.topk(k, largest=False).indices.int().cpu().numpy()


def torch_camera_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    cameras: NDArray[np.int64],
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> NDArray[np.int32]:
    """Search as `cpu_search.camera_search` does, by blocks of rows."""
    known = torch.from_numpy(cameras).to(features.device)
    ranks = []
    for rows in _own_blocks(features, processes, advance):
        distances = torch.addmm(squares, features[rows], features.T, alpha=-2)
        own = known[rows, None] == known
        lists = []
        for hidden in (~own, own, torch.zeros_like(own)):
            found = distances.masked_fill(hidden, torch.inf).topk(k, largest=False)
            lists.append(found.indices.int().masked_fill_(found.values.isinf(), -1))
        ranks.append(torch.stack(lists, 1).cpu().numpy())
    return _gathered(ranks, (0, 3, k), processes)


def _own_blocks(features: Tensor, processes: Processes, advance: Advance) -> Iterator[slice]:
    """Yield this process's blocks of rows; after each one `advance` counts its share of images."""
    n, rows = len(features), max(1, BLOCK_BYTES // (4 * len(features)))
    blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
    own = blocks[processes.share(len(blocks))]
    for block in own:
        yield block
        advance(n / len(own))


def _gathered(
    blocks: list[NDArray[np.int32]], shape: tuple[int, ...], processes: Processes
) -> NDArray[np.int32]:
    """Return the rows of all processes on rank 0, and an array of this shape on the others."""
    found = processes.gather(blocks)
    return np.concatenate([np.empty(shape, np.int32), *(each for part in found for each in part)])


def itself_first(
    ranks: NDArray[np.int32], images: NDArray[np.int64] | None = None
) -> NDArray[np.int32]:
    """Move each row's own index to column 0, in place; where it is missing the last one gives way.

    Distances of duplicates tie at zero up to rounding, so any order of them is right; this one
    makes the result defined. The rows are those of `images`, by default of all images.
    """
    own = np.arange(len(ranks)) if images is None else images
    rows = np.flatnonzero(ranks[:, 0] != own)
    if len(rows):
        moved, wanted = ranks[rows], own[rows][:, None]
        missing = (moved != wanted).all(axis=1)
        moved[missing, -1] = wanted[missing, 0]
        order = np.argsort(moved != wanted, axis=1, kind="stable")
        ranks[rows] = np.take_along_axis(moved, order, axis=1)
    return ranks
