"""Exact nearest neighbours of very many images on the CPU; 8-bit integers rule out most pairs.

A feature x is s q + e with integers q from -127 to 127. The product <x, y> differs from s^2 <q, p>
by at most X (|e_x| + |e_y|), where X is the largest norm of an x or an s q (Cauchy-Schwarz). A pair
that even so is too far apart is in no list; the distance of any other is computed in float32. So
the neighbours are exact, for a quarter of the time or less: products of 8-bit integers are fast.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.labelling import cpu_search
from pplr_cli.labelling.cpu_search import insert, merged, pairs_of_blocks
from pplr_cli.labelling.kernels import dot, kernel
from pplr_cli.parallel import by_blocks
from pplr_cli.progress import SILENT, Advance

MANY = 50_000
"""Images from which this search is used. With fewer, too many pairs are not ruled out."""
MOST_DIMENSIONS = 1 << 14
"""Products of codes of this length stay below a quarter of `NEVER`, as do the squares in bounds."""
NEVER = 1 << 30
RUN = 64
"""Products compared at a time in vector registers; a multiple of codes is multiplied."""
SHARES = tuple(0.85**step for step in range(12))
"""Shares of the largest value that may be the largest code's value; beyond it values are cut."""
SAMPLE = 4096
"""Images that choose among them."""
BLOCK = 65_536
"""Images encoded at a time."""


class Codes(NamedTuple):
    """Features as 8-bit integers, padded with images that are near to none."""

    values: Tensor  # int8 [M, D], M the next multiple of RUN
    # int32 [M]; pairs up to a squared distance d have products of codes of at least the sum of
    # both bounds - d * unit
    bounds: NDArray[np.int32]
    unit: float


class Side(NamedTuple):
    """The images of one side of a tile."""

    bounds: NDArray[np.int32]  # [padded]
    vectors: NDArray[np.float32]  # [rows, D]
    norms: NDArray[np.float32]  # |x|^2 [rows]
    first: int  # index of the first image
    distances: NDArray[np.float32]  # lists of the nearest so far [rows, k]
    ranks: NDArray[np.int32]  # [rows, k]


def suits(features: Tensor) -> bool:
    """Return whether the images are many, and this CPU multiplies 8-bit integers fast."""
    count, size = features.shape
    fast = getattr(torch.cpu, "_is_vnni_supported", lambda: False)() and hasattr(torch, "_int_mm")
    return bool(fast and count >= MANY and 1 < size <= MOST_DIMENSIONS)  # torch errs for size 1


def screened_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> NDArray[np.int32]:
    """Return what `cpu_search.symmetric_search` returns, except for near ties by rounding."""
    n, norms, vectors = len(features), squares.numpy(), features.numpy()
    codes = encode(features, squares)
    ranks = np.full((n, k), -1, np.int32)
    distances = np.full((n, k), np.inf, np.float32)

    def side(images: slice) -> Side:
        given = vectors[images], norms[images], images.start, distances[images], ranks[images]
        return Side(codes.bounds[images.start : _padded(images.stop)], *given)

    for rows, columns, products in _tiles(codes, n, processes, advance):
        sides = side(rows), side(columns)
        for offer, takers in zip((_offer_rows, _offer_columns), sides, strict=True):
            if offer is _offer_rows or rows != columns:
                work = partial(offer, products, *sides, codes.unit)
                count = len(takers.vectors)
                by_blocks(count, work, _padded(-(-count // torch.get_num_threads())))
    return merged(distances, ranks, processes)


def encode(features: Tensor, squares: Tensor) -> Codes:
    """Return the codes of features float32 [N, D] with squared norms [N]."""
    n, size = features.shape
    scale = _scale(features, squares)
    values = torch.zeros((_padded(n), size), dtype=torch.int8)
    errors, longest = torch.empty(n), squares.max().sqrt()
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        codes = _quantised(features[rows], scale)
        values[start : start + len(codes)] = codes
        errors[rows] = (features[rows] - scale * codes).norm(dim=1)
        longest = torch.maximum(longest, scale * codes.norm(dim=1).max())
    unit = 1 / (2 * scale**2)
    rounding = longest**2 * (size + 8) * 2.0**-23  # of sums in float32
    bounds = (squares.double() - 2 * longest * errors.double() - rounding) * unit
    padded = np.full(len(values), NEVER, np.int32)
    padded[:n] = bounds.floor().numpy()
    return Codes(values, padded, unit)


def _scale(features: Tensor, squares: Tensor) -> float:
    """Return the scale of the codes, of the least mean error among `SHARES`."""
    sample = features[:: max(1, len(features) // SAMPLE)]
    low, high = features.aminmax()
    largest = max(-low.item(), high.item(), 1e-30)
    scales = [largest * share / 127 for share in SHARES]
    errors = [(sample - s * _quantised(sample, s)).norm(dim=1).mean().item() for s in scales]
    best = scales[int(np.argmin(errors))]
    return float(
        max(best, (squares.max().item() / (NEVER / 2)) ** 0.5)
    )  # for bounds below NEVER / 4


def _quantised(features: Tensor, scale: float) -> Tensor:
    return (features / scale).round_().clamp_(-127, 127)


def _padded(count: int) -> int:
    return RUN * -(-count // RUN)


def _tiles(
    codes: Codes, n: int, processes: Processes, advance: Advance
) -> Iterator[tuple[slice, slice, NDArray[np.int32]]]:
    """Yield rows, columns and products of codes of this process's tiles, in order."""
    buffer = torch.empty(min(cpu_search.TILE, _padded(n)) ** 2, dtype=torch.int32)
    for rows, columns in pairs_of_blocks(n, processes, advance):
        left, right = (codes.values[each.start : _padded(each.stop)] for each in (rows, columns))
        tile = buffer[: len(left) * len(right)].view(len(left), len(right))
        yield rows, columns, torch._int_mm(left, right.T, out=tile).numpy()


@kernel
def _limit(side, place, unit):  # type: ignore[no-untyped-def]
    """Return the least product - bound of the other image that an image's list still takes."""
    limit = np.floor(side.bounds[place] - np.float64(side.distances[place, -1]) * unit)
    return np.int32(max(limit, np.float64(-NEVER // 2)))  # which only padding does not reach


@kernel
def _offer(takers, place, others, other):  # type: ignore[no-untyped-def]
    """Insert an image into the list of another one if it is near enough."""
    product = dot(takers.vectors[place], others.vectors[other])
    distance = takers.norms[place] + others.norms[other] - np.float32(2) * product
    if distance < takers.distances[place, -1]:
        insert(takers.distances[place], takers.ranks[place], distance, others.first + other)


@kernel
def _any_reaches(products, bounds, limit):  # type: ignore[no-untyped-def]
    """Return whether a product less its bound reaches the limit, for `RUN` of them."""
    found = np.int32(0)
    for t in range(RUN):
        found |= np.int32(products[t] - bounds[t] >= limit)
    return found


@kernel
def _offer_rows(products, rows, columns, unit, first, end):  # type: ignore[no-untyped-def]
    """Offer all columns of a tile to the lists of its rows first to end."""
    for row in range(first, end):
        limit = _limit(rows, row, unit)
        for start in range(0, products.shape[1], RUN):
            run = products[row, start : start + RUN]
            bounds = columns.bounds[start : start + RUN]
            if _any_reaches(run, bounds, limit):
                for t in range(RUN):
                    if run[t] - bounds[t] >= limit:
                        _offer(rows, row, columns, start + t)
                        limit = _limit(rows, row, unit)


@kernel
def _offer_columns(products, rows, columns, unit, first, end):  # type: ignore[no-untyped-def]
    """Offer all rows of a tile to the lists of its columns first to end."""
    limits = np.full(-(-(end - first) // RUN) * RUN, NEVER, np.int32)
    for column in range(first, end):
        limits[column - first] = _limit(columns, column, unit)
    for row in range(len(rows.vectors)):
        bound = rows.bounds[row]
        for start in range(0, len(limits), RUN):
            run = products[row, first + start : first + start + RUN]
            bounds = limits[start : start + RUN]
            if _any_reaches(run, bounds, bound):
                for t in range(RUN):
                    if run[t] - bounds[t] >= bound:
                        column = first + start + t
                        _offer(columns, column, rows, row)
                        bounds[t] = _limit(columns, column, unit)
