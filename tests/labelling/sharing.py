"""Searches by several threads, and by processes that are played one after the other."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import torch

from pplr_cli.distributed.processes import Processes
from pplr_cli.labelling import cpu_search

T = TypeVar("T")


class _Player(Processes):
    """One of `size` processes; rank 0, played last, gets what the others handed to `gather`."""

    def __init__(self, rank: int, size: int, handed: list[list[object]]) -> None:
        self.rank, self.size = rank, size
        self._handed, self._calls = handed, 0

    def gather(self, value: T) -> list[T]:
        if self.rank:
            self._handed[self.rank].append(value)
            return []
        self._calls += 1
        return [value, *(each[self._calls - 1] for each in self._handed[1:])]  # type: ignore[list-item]


def shared(size: int, work: Callable[[Processes], T]) -> list[T]:
    """Return what `work` returns on each of `size` processes, in order of rank."""
    handed: list[list[object]] = [[] for _ in range(size)]
    return [work(_Player(rank, size, handed)) for rank in reversed(range(size))][::-1]


def searched(
    search: Callable[..., np.ndarray], vectors: torch.Tensor, k: int, tile: int, threads: int = 2
) -> np.ndarray:
    """Return what an exact search on the CPU finds with tiles of this size and so many threads."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_search, "TILE", tile)
        torch.set_num_threads(threads)
        try:
            return search(vectors, vectors.square().sum(1), k)
        finally:
            torch.set_num_threads(before)
