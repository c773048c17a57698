"""Exact nearest neighbours of very many images on the CPU; 8-bit integers rule out most pairs.

A pair that is too far apart by its codes and their bounds is in no list; the distance of any other
is computed in float32. So the neighbours are exact, and the search is several times as fast, as
products of 8-bit integers are.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.labelling import cpu_search
from pplr_cli.labelling.codes import MOST_DIMENSIONS, NEVER, RUN, Codes, encode, padded
from pplr_cli.labelling.cpu_search import merged, own_tiles
from pplr_cli.labelling.kernels import dot, kernel
from pplr_cli.progress import SILENT, Advance

MANY = 10_000
"""Images from which this search is used. Of fewer, products take little time."""

Hide = Callable[[NDArray[np.int32], slice, slice], None]
"""Takes a tile of products of codes, its rows and its columns."""


class Side(NamedTuple):
    """The images of one side of a tile."""

    bounds: NDArray[np.int32]  # [padded]
    vectors: NDArray[np.float32]  # [images, D]
    norms: NDArray[np.float32]  # |x|^2 [images]
    first: int  # index of the first image
    distances: NDArray[np.float32]  # lists of the nearest so far [images, k]
    ranks: NDArray[np.int32]  # [images, k]


def suits(features: Tensor, least: int | None = None) -> bool:
    """Return whether images are many, or at least `least`, and 8-bit products fast and exact."""
    count, size = features.shape
    fast = getattr(torch.cpu, "_is_vnni_supported", lambda: False)() and hasattr(torch, "_int_mm")
    many = count >= (MANY if least is None else least)
    fits = fast and many and 1 < size <= MOST_DIMENSIONS  # torch errs for size 1
    return bool(fits and _multiplies_exactly())


def _multiplies_exactly() -> bool:
    """Return whether sums exceed 16 bits; not if `ONEDNN_MAX_CPU_ISA` keeps torch from VNNI."""
    codes = torch.full((RUN, RUN), 127, dtype=torch.int8)
    return bool((torch._int_mm(codes, codes.T) == RUN * 127**2).all())


def screened_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
    hide: Hide | None = None,
) -> NDArray[np.int32]:
    """Return what `cpu_search.symmetric_search` returns, except for near ties by rounding.

    Each thread multiplies and searches tiles of its own; a lock for each block of images guards
    their lists, which do not depend on the order of the tiles.

    With other numbers r in place of the squares, those of the smallest r(i) + r(j) - 2 <x, y> are
    found. `hide` may set products of pairs that are in no list to `-NEVER`; lists that are not full
    end with -1.
    """
    n, norms, vectors = len(features), squares.numpy(), features.numpy()
    codes = encode(features, squares)
    ranks = np.full((n, k), -1, np.int32)
    distances = np.full((n, k), np.inf, np.float32)
    tiles = own_tiles(n, processes)
    tiles.sort(key=lambda tile: (tile[0].start - tile[1].start, tile[0].start))  # few share a block
    locks = {rows.start: Lock() for tile in tiles for rows in tile}
    waiting = iter(tiles)  # threads take from it, guarded by the interpreter lock

    def side(images: slice) -> Side:
        given = vectors[images], norms[images], images.start, distances[images], ranks[images]
        return Side(codes.bounds[images.start : padded(images.stop)], *given)

    def work() -> None:
        buffer = torch.empty(padded(min(cpu_search.TILE, n)) ** 2, dtype=torch.int32)
        for rows, columns in waiting:
            products = _products(codes, rows, columns, buffer)
            if hide is not None:
                hide(products, rows, columns)
            other = locks[rows.start] if rows != columns else nullcontext()
            with locks[columns.start], other:
                _offer_tile(products, side(rows), side(columns), codes.unit)
            advance(n / len(tiles))

    _in_threads(work, waiting)
    return merged(distances, ranks, processes)


def _in_threads(work: Callable[[], None], waiting: Iterator[Any]) -> None:
    """Call `work` in as many threads as torch uses, while torch itself uses one in each."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                calls = [pool.submit(work) for _ in range(threads)]
                wait(calls, return_when=FIRST_EXCEPTION)
            finally:
                deque(waiting, maxlen=0)  # after a failure the threads find nothing left
        for call in calls:
            call.result()
    finally:
        torch.set_num_threads(threads)


def _products(codes: Codes, rows: slice, columns: slice, buffer: Tensor) -> NDArray[np.int32]:
    left, right = (codes.values[each.start : padded(each.stop)] for each in (rows, columns))
    tile = buffer[: len(left) * len(right)].view(len(left), len(right))
    return torch._int_mm(left, right.T, out=tile).numpy()


@kernel
def _limit(side, place, unit):  # type: ignore[no-untyped-def]
    """Return the least product - bound of the other image that an image's list still takes."""
    limit = np.floor(side.bounds[place] - np.float64(side.distances[place, -1]) * unit)
    return np.int32(max(limit, np.float64(-NEVER // 2)))  # which only padding does not reach


@kernel
def _insert(side, place, distance, image):  # type: ignore[no-untyped-def]
    """Insert an image into a list sorted by distance, then by index; the last one is dropped."""
    distances, ranks = side.distances[place], side.ranks[place]
    to = len(distances) - 1
    if distance > distances[to] or (distance == distances[to] and image > ranks[to]):
        return
    while to > 0 and (
        distance < distances[to - 1] or (distance == distances[to - 1] and image < ranks[to - 1])
    ):
        distances[to], ranks[to] = distances[to - 1], ranks[to - 1]
        to -= 1
    distances[to], ranks[to] = distance, image


@kernel
def _any_reaches(products, bounds, limit):  # type: ignore[no-untyped-def]
    """Return whether a product less its bound reaches the limit, for `RUN` of them."""
    found = np.int32(0)
    for t in range(RUN):
        found |= np.int32(products[t] - bounds[t] >= limit)
    return found


@kernel
def _offer_tile(products, rows, columns, unit):  # type: ignore[no-untyped-def]
    """Offer the columns of a tile to the lists of its rows, and the rows to those of its columns.

    On the diagonal both are the same images: each pair is there twice, and offered once a time.
    """
    both = rows.first != columns.first
    limits = np.full(len(columns.bounds), NEVER, np.int32)
    for column in range(len(columns.vectors) if both else 0):
        limits[column] = _limit(columns, column, unit)
    for row in range(len(rows.vectors)):
        limit, bound = _limit(rows, row, unit), rows.bounds[row]
        for start in range(0, products.shape[1], RUN):
            run = products[row, start : start + RUN]
            bounds, others = columns.bounds[start : start + RUN], limits[start : start + RUN]
            if _any_reaches(run, bounds, limit) or _any_reaches(run, others, bound):
                for t in range(RUN):
                    of_row, of_column = run[t] - bounds[t] >= limit, run[t] - others[t] >= bound
                    column = start + t  # beyond the last one: padding
                    hidden = run[t] == -NEVER or column >= len(columns.vectors)
                    if (of_row or of_column) and not hidden:
                        product = dot(rows.vectors[row], columns.vectors[column])
                        distance = rows.norms[row] + columns.norms[column] - np.float32(2) * product
                        if of_row:
                            _insert(rows, row, distance, columns.first + column)
                            limit = _limit(rows, row, unit)
                        if of_column:
                            _insert(columns, column, distance, rows.first + row)
                            others[t] = _limit(columns, column, unit)
