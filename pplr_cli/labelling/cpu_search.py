"""Exact nearest neighbours of all images on the CPU, each pair of images compared once.

The distance of i and j is that of j and i: of all tiles of products F_I F_J^T only those with
I <= J are computed, and a tile's entries are offered to the lists of both its rows and its columns.
Nearly all of them fail the comparison with the farthest neighbour found so far. Several processes
share the tiles; their lists merge to those of all tiles.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.labelling.kernels import kernel
from pplr_cli.parallel import by_blocks
from pplr_cli.progress import SILENT, Advance

TILE = 2048
"""Rows and columns of a tile. Fixed, because another size may round the products differently."""

RUN = 64
"""Entries compared at a time in vector registers; few runs hold one that is near."""


def symmetric_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> NDArray[np.int32]:
    """Return each image's k nearest images [N, k] by squared L2 distance, nearest first.

    Every list is offered its candidates in ascending order and keeps the earlier of two equal
    ones: ties are resolved by index, for any number of threads and processes.

    Takes features float32 [N, D] on the CPU, and |f|^2 of each row, whose sums must be finite; the
    same on all processes. Rank 0 gets the lists, the others [0, k]. `advance` counts images.
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

    _offer_tiles(features, offer, processes, advance)
    return merged(distances, ranks, processes)


def camera_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    cameras: NDArray[np.int64],
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
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

    _offer_tiles(features, offer, processes, advance)
    return merged(distances, ranks, processes)


def _offer_tiles(
    features: Tensor,
    offer: Callable[[Tensor, slice, slice], None],
    processes: Processes,
    advance: Advance,
) -> None:
    """Offer each tile of this process to the lists of its rows and of its columns."""
    for rows, columns, products in _tiles(features, processes, advance):
        offer(products, rows, columns)
        if rows != columns:
            offer(products.T.contiguous(), columns, rows)


def merged(
    distances: NDArray[np.float32], ranks: NDArray[np.int32], processes: Processes
) -> NDArray[np.int32]:
    """Return the lists of all processes merged on rank 0, and none on the others."""
    k = ranks.shape[-1]
    lists = processes.gather((distances.reshape(-1, k), ranks.reshape(-1, k)))

    def merge(others: tuple[NDArray[np.float32], NDArray[np.int32]]) -> None:
        given = (*lists[0], *others)
        by_blocks(len(lists[0][1]), lambda first, end: _merge(*given, first, end), TILE)

    for others in lists[1:]:
        merge(others)
    return lists[0][1].reshape(ranks.shape) if lists else ranks[:0]


def _tiles(
    features: Tensor, processes: Processes, advance: Advance
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield rows, columns and products of this process's tiles, in order.

    All share one buffer. After each one `advance` counts its share of the images.
    """
    buffer = torch.empty(min(TILE, len(features)) ** 2)
    tiles = own_tiles(len(features), processes)
    for rows, columns in tiles:
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        tile = buffer[: shape[0] * shape[1]].view(shape)
        yield rows, columns, torch.mm(features[rows], features[columns].T, out=tile)
        advance(len(features) / len(tiles))


def own_tiles(n: int, processes: Processes) -> list[tuple[slice, slice]]:
    """Return rows and columns of this process's tiles, on and below the diagonal.

    They are dealt to the processes in turn, however each one searches its own.
    """
    blocks = [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]
    tiles = [(rows, columns) for at, rows in enumerate(blocks) for columns in blocks[: at + 1]]
    return tiles[processes.rank :: processes.size]


@kernel
def _distance(square, other_square, product):  # type: ignore[no-untyped-def]
    return square + other_square - np.float32(2) * product


@kernel
def insert(distances, ranks, distance, image):  # type: ignore[no-untyped-def]
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
                        insert(distances[row], ranks[row], distance, first_other + start + t)
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
                        insert(distances[row, which], ranks[row, which], distance, image)
                        # the nearest of all are among the nearest of either kind
                        if distance < distances[row, 2, -1]:
                            insert(distances[row, 2], ranks[row, 2], distance, image)
                own, other = distances[row, 0, -1], distances[row, 1, -1]


@kernel
def _merge(distances, ranks, other_distances, other_ranks, first, end):  # type: ignore[no-untyped-def]
    """Merge other lists into those of the rows first to end, by distance, then by index."""
    for row in range(first, end):
        own_distances, own = distances[row].copy(), ranks[row].copy()
        a = b = 0
        for place in range(len(own)):
            distance, other = own_distances[a], other_distances[row, b]
            if distance < other or (distance == other and own[a] < other_ranks[row, b]):
                distances[row, place], ranks[row, place] = distance, own[a]
                a += 1
            else:
                distances[row, place], ranks[row, place] = other, other_ranks[row, b]
                b += 1
