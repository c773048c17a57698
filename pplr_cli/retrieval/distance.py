"""Squared Euclidean distances between query and gallery features, in blocks of queries."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.engine.memory import LARGEST_BLOCK


def squared_distances(query: Tensor, gallery: Tensor) -> Tensor:
    """Return |q - g|² for every pair, float32 [Q, G], on the device of the features [Q, D], [G, D].

    Computed as |q|² + |g|² - 2 q·g: rounding can make a value slightly negative.
    """
    products = torch.addmm(gallery.square().sum(1), query, gallery.T, alpha=-2)
    return products.add_(query.square().sum(1, keepdim=True))


def row_blocks(rows: int, columns: int, budget: int = LARGEST_BLOCK) -> Iterator[slice]:
    """Split `rows` into slices whose float32 block of `columns` fits into `budget` bytes."""
    step = max(1, min(budget, LARGEST_BLOCK) // (4 * max(1, columns)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def distance_blocks(
    query: Tensor, gallery: Tensor, budget: int = LARGEST_BLOCK
) -> Iterator[NDArray[np.float32]]:
    """Yield the squared distances of consecutive queries, [B, G] in at most `budget` bytes."""
    for rows in row_blocks(len(query), len(gallery), budget):
        yield squared_distances(query[rows], gallery).cpu().numpy()
