"""Search the nearest tracks of each track among those that can be one identity with it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.codes import NEVER
from pplr_cli.labelling.kernels import dot, kernel
from pplr_cli.labelling.screened_search import screened_search, suits
from pplr_cli.parallel import by_blocks
from pplr_cli.progress import SILENT, Advance

Ints = NDArray[np.int64]
Mask = Callable[[Tensor], Tensor]
"""Takes numbers of rows, int64 [B]; returns which columns do not count, bool [B, G]."""

MANY = 10_000
"""Tracks from which similarities of all pairs are not computed if possible. The result is the same
except for ties."""
BLOCK_BYTES = 1 << 28
"""Size of a block of similarities."""
PAIRS = 4096
"""Pairs multiplied at a time by one thread."""


class Spans(NamedTuple):
    """Where and when T tracks were seen; two of one place are apart if their times overlap."""

    places: Ints  # [T], from 0
    first: NDArray[np.float64]  # [T], -inf if unknown
    last: NDArray[np.float64]  # [T], inf if unknown

    @classmethod
    def always(cls, places: Ints) -> "Spans":
        """Return the spans of tracks of which no two of one place are ever compared."""
        unknown = np.full(len(places), np.inf)
        return cls(places, -unknown, unknown)

    @classmethod
    def of(cls, tracks: Tracks) -> "Spans":
        """Return the spans of tracks by their cameras.

        A track without camera has a place of its own; if there is only one camera, one without
        times too.
        """
        known = tracks.cameras != UNKNOWN
        if len(np.unique(tracks.cameras[known])) == 1:
            known &= tracks.timed
        places = np.unique(tracks.cameras, return_inverse=True)[1]
        places[~known] = len(tracks) + np.flatnonzero(~known)
        timed = tracks.timed
        first, last = np.where(timed, tracks.first, -np.inf), np.where(timed, tracks.last, np.inf)
        return cls(places, first, last)

    def at(self, some: slice | Ints) -> "Spans":
        """Return the spans of some tracks."""
        return Spans(self.places[some], self.first[some], self.last[some])


def nearest_tracks(
    vectors: Tensor,
    spans: Spans,
    k: int,
    scale: Tensor | None = None,
    advance: Advance = SILENT.advance,
) -> tuple[Tensor, Tensor]:
    """Return the k largest products of tracks that are not apart, and their columns, [T, k].

    With a `scale` r, [T, 1], those of the largest scaled similarities.
    """
    k = min(k, len(vectors))
    if vectors.device.type == "cpu" and suits(vectors, MANY):
        return _screened_search(vectors, spans, k, None if scale is None else scale[:, 0], advance)
    places, first, last = (torch.from_numpy(each).to(vectors.device) for each in spans)

    def mask(rows: Tensor) -> Tensor:
        overlap = (first[rows, None] <= last) & (first <= last[rows, None])
        return (places[rows, None] == places) & overlap

    sides = (vectors, vectors) if scale is None else sides_of(vectors, scale)
    found = dense_search(*sides, mask, k)
    advance(len(vectors))
    return found


def dense_search(left: Tensor, right: Tensor, mask: Mask, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest products of each row and their columns, [G, k]; masked ones are -inf.

    A row is never its own neighbour. Of equal products the first column counts if k is 1.
    """
    values, columns = [], []
    everything = torch.arange(len(left), device=left.device)
    for rows in everything.split(max(1, BLOCK_BYTES // (4 * len(left)))):
        products = (left[rows] @ right.T).masked_fill_(mask(rows), -torch.inf)
        products[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        best, at = products.max(1, keepdim=True) if k == 1 else products.topk(min(k, len(left)), 1)
        values.append(best)
        columns.append(at)
    return torch.cat(values), torch.cat(columns)


def sides_of(centres: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices whose product is the mean of 2 s - r - r over all pairs of two groups."""
    ones, double = torch.ones_like(scales), 2**0.5 * centres
    return torch.cat((double, -scales, ones), 1), torch.cat((double, ones, -scales), 1)


def _screened_search(
    vectors: Tensor,
    spans: Spans,
    k: int,
    offsets: Tensor | None = None,
    advance: Advance = SILENT.advance,
) -> tuple[Tensor, Tensor]:
    """Return the k nearest tracks of each one that are not apart from it: products and numbers.

    Args:
        vectors: float32 [T, D] on the CPU.
        spans: of the T tracks.
        k: at most T.
        offsets: r, float32 [T]; then the nearest are those of the largest 2 <x, y> - r(x) - r(y).
        advance: counts the tracks.

    Returns:
        float32 [T, k], the products <x, y>, and int64 [T, k], nearest first; -inf and -1 after the
        last one.
    """
    order = np.argsort(spans.places, kind="stable")
    at, seen = torch.from_numpy(order), spans.at(order)
    given = vectors if (np.diff(order) > 0).all() else vectors[at]  # no copy of found tracks
    offsets = torch.zeros(len(vectors)) if offsets is None else offsets[at]

    def hide(products: NDArray[np.int32], rows: slice, columns: slice) -> None:
        _hide(products, *seen.at(rows), *seen.at(columns))

    ranks = screened_search(given, offsets, k, advance=advance, hide=hide)
    found = np.full(ranks.shape, -1, np.int64)
    found[order] = np.where(ranks >= 0, order[ranks], -1)
    pairs = np.stack((np.arange(len(found)).repeat(k), found.ravel()), 1)
    values = products_of(vectors, pairs).reshape(found.shape)
    return torch.from_numpy(values), torch.from_numpy(found)


def products_of(vectors: Tensor, pairs: Ints) -> NDArray[np.float32]:
    """Return the products of pairs [Q, 2] of rows, -inf where the second is -1."""
    products = np.full(len(pairs), -np.inf, np.float32)
    by_blocks(len(pairs), partial(_multiply, vectors.numpy(), pairs, products), PAIRS)
    return products


@kernel
def _multiply(vectors, pairs, products, first, end):  # type: ignore[no-untyped-def]
    for pair in range(first, end):
        one, other = pairs[pair]
        if other >= 0:
            products[pair] = dot(vectors[one], vectors[other])


@kernel
def _hide(  # type: ignore[no-untyped-def]
    products, row_places, row_firsts, row_lasts, places, firsts, lasts
):
    """Set the products of tracks that are apart to `-NEVER`; both sides are sorted by place."""
    for row in range(len(row_places)):
        low = np.searchsorted(places, row_places[row], side="left")
        high = np.searchsorted(places, row_places[row], side="right")
        for column in range(low, high):
            if row_firsts[row] <= lasts[column] and firsts[column] <= row_lasts[row]:
                products[row, column] = -NEVER
