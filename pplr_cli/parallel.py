"""Row-parallel loops: blocks of rows on a pool of threads, results in order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


def by_blocks(rows: int, work: Callable[[int, int], Result], size: int) -> list[Result]:
    """Call `work(first, end)` for each block of `size` rows, on as many threads as torch uses.

    `work` should release the interpreter lock. Returns its results in the order of the rows.
    """
    starts = range(0, rows, size)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(lambda first: work(first, min(first + size, rows)), starts))
