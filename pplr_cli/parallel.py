"""Work on the rows of a block of distances, a few rows at a time on each thread."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

ROWS = 64
"""Queries that a thread works on at a time."""

Result = TypeVar("Result")


class Lists(NamedTuple):
    """Some gallery images for each of Q queries.

    Attributes:
        begin: int64 [Q + 1], where each query's images begin in `images`, and the end.
        images: int64, positions in the gallery, query after query.
    """

    begin: NDArray[np.int64]
    images: NDArray[np.int64]

    @classmethod
    def of(cls, lists: Sequence[NDArray[np.int64]]) -> "Lists":
        """Return the arrays, one for each query, one after the other."""
        begin = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(images) for images in lists], out=begin[1:])
        return cls(begin, np.concatenate([np.zeros(0, np.int64), *lists]))


def by_rows(
    work: Callable[[NDArray[np.float32], int], Result], block: NDArray[np.float32], first: int
) -> list[Result]:
    """Return what `work` makes of every `ROWS` rows of a block [B, G], on torch's threads.

    Args:
        work: called with distances [b, G] and the number of their first query.
        block: distances of consecutive queries.
        first: number of the block's first query.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        jobs = [
            pool.submit(work, block[row : row + ROWS], first + row)
            for row in range(0, len(block), ROWS)
        ]
        return [job.result() for job in jobs]
