"""Exact nearest neighbours of all images on the CPU, each pair of images compared once.

The distance of i and j is that of j and i: of all tiles of products F_I F_J^T only those with
I <= J are computed, and a tile's entries are offered to the lists of both its rows and its columns.
Nearly all of them fail the comparison with the farthest neighbour found so far.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.labelling.kernels import kernel

TILE = 2048
"""Rows and columns of a tile. Fixed, since another size may round the products differently."""

RUN = 64
"""Entries that are compared at a time in vector registers; few runs hold one that is near."""

Floats = NDArray[np.float32]
Job = Callable[..., None]


def symmetric_search(features: Tensor, squares: Tensor, k: int) -> NDArray[np.int32]:
    """Return each image's k nearest images [N, k] by squared L2 distance, nearest first.

    Every list is offered its candidates in ascending order and keeps the earlier of two equal
    ones: ties are resolved by index, whatever the number of threads.

    Args:
        features: float32 [N, D] on the CPU.
        squares: float32 [N], |f|^2 of each row; their sums must be finite.
        k: neighbours, at most N.
    """
    n = len(features)
    lists = _Lists(n, k, squares.numpy())
    buffer = torch.empty(min(TILE, n) ** 2)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for rows in _blocks(n):
            for columns in _blocks(rows.stop):
                tile = buffer[: _size(rows) * _size(columns)].view(_size(rows), _size(columns))
                torch.mm(features[rows], features[columns].T, out=tile)
                lists.offer(tile.numpy(), rows, columns, pool)
    return lists.ranks


class _Lists:
    """The k nearest images found so far of each image, with their distances, ascending."""

    def __init__(self, n: int, k: int, squares: Floats) -> None:
        self.ranks = np.full((n, k), -1, np.int32)
        self._distances = np.full((n, k), np.inf, np.float32)
        self._squares = squares

    def offer(self, products: Floats, rows: slice, columns: slice, pool: Executor) -> None:
        """Offer the columns to the rows, and the rows to the columns unless they are the same."""
        jobs = self._jobs(_offer_columns, products, rows, columns, rows)
        if rows != columns:
            jobs += self._jobs(_offer_rows, products, rows, columns, columns)
        for job in [pool.submit(*job) for job in jobs]:
            job.result()

    def _jobs(
        self, offer: Job, products: Floats, rows: slice, columns: slice, takers: slice
    ) -> list[tuple[Any, ...]]:
        """Cut the work on the lists `takers` into one call for each thread."""
        cuts = np.linspace(0, _size(takers), torch.get_num_threads() + 1).astype(np.int64)
        first = columns.start if takers is rows else rows.start
        given = (products, self._squares[rows], self._squares[columns], first)
        lists = (self._distances[takers], self.ranks[takers])
        return [(offer, *given, *lists, *ends) for ends in pairwise(cuts)]


@kernel
def _distance(square, other_square, product):  # type: ignore[no-untyped-def]
    return square + other_square - np.float32(2) * product


@kernel
def _insert(distances, ranks, distance, image):  # type: ignore[no-untyped-def]
    """Put an image in its place in one list, after its equals; the last one falls out."""
    place = len(distances) - 1
    while place > 0 and distances[place - 1] > distance:
        distances[place] = distances[place - 1]
        ranks[place] = ranks[place - 1]
        place -= 1
    distances[place] = distance
    ranks[place] = image


@kernel
def _offer_columns(products, row_squares, column_squares, first_column, distances, ranks, a, b):  # type: ignore[no-untyped-def]
    """Offer all columns of a tile to the lists of its rows a to b."""
    for row in range(a, b):
        farthest, square = distances[row, -1], row_squares[row]
        for start in range(0, products.shape[1], RUN):
            run = products[row, start : start + RUN]
            squares = column_squares[start : start + RUN]
            nearer = np.int32(0)
            for t in range(len(run)):
                nearer |= np.int32(_distance(square, squares[t], run[t]) < farthest)
            if nearer:
                for t in range(len(run)):
                    distance = _distance(square, squares[t], run[t])
                    if distance < farthest:
                        _insert(distances[row], ranks[row], distance, first_column + start + t)
                        farthest = distances[row, -1]


@kernel
def _offer_rows(products, row_squares, column_squares, first_row, distances, ranks, a, b):  # type: ignore[no-untyped-def]
    """Offer all rows of a tile to the lists of its columns a to b."""
    distances, ranks, column_squares = distances[a:b], ranks[a:b], column_squares[a:b]
    limits = distances[:, -1].copy()
    for row in range(len(products)):
        entries, square = products[row, a:b], row_squares[row]
        for start in range(0, len(entries), RUN):
            run = entries[start : start + RUN]
            squares, farthest = column_squares[start : start + RUN], limits[start : start + RUN]
            nearer = np.int32(0)
            for t in range(len(run)):
                nearer |= np.int32(_distance(square, squares[t], run[t]) < farthest[t])
            if nearer:
                for t in range(len(run)):
                    distance = _distance(square, squares[t], run[t])
                    if distance < farthest[t]:
                        _insert(distances[start + t], ranks[start + t], distance, first_row + row)
                        farthest[t] = distances[start + t, -1]


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def _size(block: slice) -> int:
    size: int = block.stop - block.start
    return size
