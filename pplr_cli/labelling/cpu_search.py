"""Exact nearest neighbours of all images on the CPU, each pair of images compared once.

The distance of i and j is that of j and i: of all tiles of products F_I F_J^T only those with
I <= J are computed, and a tile's entries are offered to the lists of both its rows and its columns.
Nearly all of them fail the comparison with the farthest neighbour found so far.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.labelling.kernels import kernel
from pplr_cli.parallel import by_blocks

TILE = 2048
"""Rows and columns of a tile. Fixed, because another size may round the products differently."""

RUN = 64
"""Entries compared at a time in vector registers; few runs hold one that is near."""


def symmetric_search(features: Tensor, squares: Tensor, k: int) -> NDArray[np.int32]:
    """Return each image's k nearest images [N, k] by squared L2 distance, nearest first.

    Every list is offered its candidates in ascending order and keeps the earlier of two equal
    ones: ties are resolved by index, for any number of threads.

    Takes features float32 [N, D] on the CPU, and |f|^2 of each row, whose sums must be finite.
    """
    n, norms = len(features), squares.numpy()
    ranks = np.full((n, k), -1, np.int32)
    distances = np.full((n, k), np.inf, np.float32)

    def offer(products: Tensor, takers: slice, others: slice) -> None:
        entries = products.numpy()
        lists = (distances[takers], ranks[takers])
        given = (entries, norms[takers], norms[others], others.start, *lists)
        size = -(-len(entries) // torch.get_num_threads())
        by_blocks(len(entries), lambda first, end: _offer(*given, first, end), size)

    _offer_tiles(features, offer)
    return ranks


def camera_search(
    features: Tensor, squares: Tensor, k: int, cameras: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return each image's nearest of its own camera, of other cameras, and of all, [N, 3, k].

    One pass over the tiles, as in `symmetric_search`, whose lists are the last ones. Where a
    camera has fewer images, -1 follows them.
    """
    n, norms = len(features), squares.numpy()
    ranks = np.full((n, 3, k), -1, np.int32)
    distances = np.full((n, 3, k), np.inf, np.float32)

    def offer(products: Tensor, takers: slice, others: slice) -> None:
        entries, lists = products.numpy(), (distances[takers], ranks[takers])
        sides = (norms[takers], norms[others], cameras[takers], cameras[others])
        size = -(-len(entries) // torch.get_num_threads())
        given = (entries, *sides, others.start, *lists)
        by_blocks(len(entries), lambda first, end: _offer_by_camera(*given, first, end), size)

    _offer_tiles(features, offer)
    return ranks


def _offer_tiles(features: Tensor, offer: Callable[[Tensor, slice, slice], None]) -> None:
    """Offer each tile to the lists of its rows and of its columns."""
    for rows, columns, products in _tiles(features):
        offer(products, rows, columns)
        if rows != columns:
            offer(products.T.contiguous(), columns, rows)


def _tiles(features: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield rows, columns and products of the tiles on and below the diagonal, in order.

    All tiles share one buffer.
    """
    n = len(features)
    blocks = [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]
    buffer = torch.empty(min(TILE, n) ** 2)
    for number, rows in enumerate(blocks):
        for columns in blocks[: number + 1]:
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            tile = buffer[: shape[0] * shape[1]].view(shape)
            yield rows, columns, torch.mm(features[rows], features[columns].T, out=tile)


@kernel
def _distance(square, other_square, product):  # type: ignore[no-untyped-def]
    return square + other_square - np.float32(2) * product


@kernel
def _insert(distances, ranks, distance, image):  # type: ignore[no-untyped-def]
    """Insert an image into one list, after its equals; the last one is dropped."""
    place = len(distances) - 1
    while place > 0 and distances[place - 1] > distance:
        distances[place] = distances[place - 1]
        ranks[place] = ranks[place - 1]
        place -= 1
    distances[place] = distance
    ranks[place] = image


@kernel
def _offer(products, squares, other_squares, first_other, distances, ranks, first, end):  # type: ignore[no-untyped-def]
    """Offer all columns of a tile to the lists of its rows first to end."""
    for row in range(first, end):
        farthest, square = distances[row, -1], squares[row]
        for start in range(0, products.shape[1], RUN):
            run = products[row, start : start + RUN]
            others = other_squares[start : start + RUN]
            nearer = np.int32(0)
            for t in range(len(run)):
                nearer |= np.int32(_distance(square, others[t], run[t]) < farthest)
            if nearer:
                for t in range(len(run)):
                    distance = _distance(square, others[t], run[t])
                    if distance < farthest:
                        _insert(distances[row], ranks[row], distance, first_other + start + t)
                        farthest = distances[row, -1]


@kernel
def _offer_by_camera(  # type: ignore[no-untyped-def]
    products,
    squares,
    other_squares,
    cameras,
    other_cameras,
    first_other,
    distances,
    ranks,
    first,
    end,
):
    """Do the same with three lists of each row: of its own camera, of the others, and of all."""
    for row in range(first, end):
        square, camera = squares[row], cameras[row]
        own, other = distances[row, 0, -1], distances[row, 1, -1]
        for start in range(0, products.shape[1], RUN):
            run = products[row, start : start + RUN]
            others = other_squares[start : start + RUN]
            seen = other_cameras[start : start + RUN]
            nearer = np.int32(0)
            for t in range(len(run)):
                farthest = own if seen[t] == camera else other
                nearer |= np.int32(_distance(square, others[t], run[t]) < farthest)
            if nearer:
                for t in range(len(run)):
                    distance, image = _distance(square, others[t], run[t]), first_other + start + t
                    which = 0 if seen[t] == camera else 1
                    if distance < distances[row, which, -1]:
                        _insert(distances[row, which], ranks[row, which], distance, image)
                        # the nearest of all are among the nearest of either kind
                        if distance < distances[row, 2, -1]:
                            _insert(distances[row, 2], ranks[row, 2], distance, image)
                own, other = distances[row, 0, -1], distances[row, 1, -1]
