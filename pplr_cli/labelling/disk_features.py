"""Features on disk as float16, of which one space at a time is in memory as float32.

A space is the global features of all images, or those of a part. The file has no name, so that
nothing remains of it after the run, however that ends. It is written and read, not mapped: a full
disk is an error then, and would kill a process that writes into mapped memory.
"""

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pplr_cli import env
from pplr_cli.distributed.processes import Processes
from pplr_cli.files import check_space, naming

LARGEST = 4_000_000_000
"""Bytes of float32 features that `clustering.features: auto` keeps in memory.

Fixed, so that the labels of a data set do not depend on the machine."""
BLOCK = 16_384
"""Images read or sent at a time."""


def kept_on_disk(setting: str, shape: tuple[int, ...]) -> bool:
    """Return whether `clustering.features` keeps features [1 + P, N, D] on disk."""
    return setting == "disk" or (setting == "auto" and 4 * int(np.prod(shape)) > LARGEST)


class DiskFeatures:
    """Features [1 + P, N, D] on disk; `features[0]` are the global ones, float32 [N, D].

    Args:
        shape: (1 + P, N, D).
        device: where each space is read to.

    Raises:
        PplrError: the disk is too full.
    """

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        self.shape, self.device, self._folder = shape, device, env.cache_dir()
        self._folder.mkdir(parents=True, exist_ok=True)
        hint = "make room there, or move the cache with PPLR_CACHE_DIR"
        check_space(self._folder, 2 * int(np.prod(shape)), "the file of features", hint)
        self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, space: int) -> Tensor:
        _, images, size = self.shape
        features = torch.empty((images, size), device=self.device)
        for rows in _blocks(slice(0, images)):
            features[rows] = self._read(space, rows).to(self.device)
        return features

    def __iter__(self) -> Iterator[Tensor]:
        """Yield each space; the caller drops one before it takes the next, or both are there."""
        return (self[space] for space in range(len(self)))

    def __setitem__(self, at: tuple[slice, slice], features: Tensor) -> None:
        """Write the features [S, B, D] of some spaces and images, rounded to float16."""
        spaces, rows = range(len(self))[at[0]], at[1]
        with naming(self._folder):
            for space, values in zip(spaces, features.to("cpu", torch.float16), strict=True):
                self._seek(space, rows)
                self._file.write(values.contiguous().numpy())

    def share(self, owned: Sequence[slice], processes: Processes) -> None:
        """Send the images that each process has written to the others."""
        for rank, images in enumerate(owned if processes.size > 1 else ()):
            for rows in _blocks(images):
                pieces = [torch.empty(0, device=self.device)] * processes.size
                count = rows.stop - rows.start
                pieces[rank] = torch.empty((len(self), count, self.shape[2]), device=self.device)
                if rank == processes.rank:
                    for space, piece in enumerate(pieces[rank]):
                        piece.copy_(self._read(space, rows))
                processes.broadcast_each(pieces)
                if rank != processes.rank:
                    self[:, rows] = pieces[rank]

    def _read(self, space: int, rows: slice) -> Tensor:
        self._seek(space, rows)
        shape = rows.stop - rows.start, self.shape[2]
        return torch.from_numpy(np.fromfile(self._file, np.float16, int(np.prod(shape)))).view(
            shape
        )

    def _seek(self, space: int, rows: slice) -> None:
        _, images, size = self.shape
        self._file.seek(2 * size * (space * images + rows.start))


Features = Tensor | DiskFeatures
"""Features [1 + P, N, D], global ones first, each L2-normalised; indexed by space."""


def _blocks(rows: slice) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, BLOCK):
        yield slice(start, min(start + BLOCK, rows.stop))
