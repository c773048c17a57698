"""Reads a tar archive without trusting its headers: counts the bytes, and checks its end."""

import tarfile
from collections.abc import Callable
from typing import IO

BLOCK = 512
PIECE = 1 << 20


class Counted:
    """Reads a file forwards and calls `count` with the bytes of every piece."""

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        self._file, self._count = file, count

    def read(self, size: int = PIECE) -> bytes:
        """Read up to `size` bytes."""
        piece = self._file.read(size)
        self._count(len(piece))
        return piece


class TarStream(Counted):
    """The input of `tarfile` in mode `r|`, which detects archives that were cut.

    `tarfile` ends silently at a damaged header, and where a file is cut between two members; a
    complete archive ends with blocks of zeros.
    """

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        super().__init__(file, count)
        self._last, self._start = b"", 0

    def read(self, size: int = PIECE) -> bytes:
        """Read up to `size` bytes and remember the last piece."""
        piece = super().read(size)
        if piece:
            self._start += len(self._last)
            self._last = piece
        return piece

    def check_end(self, offset: int) -> None:
        """Check that only zeros follow from `offset` on, at least one block.

        Reads to the end, which also makes gzip compare its checksum.

        Args:
            offset: where `tarfile` found no further member.

        Raises:
            tarfile.ReadError: something else follows, or nothing.
        """
        rest = self._last[max(0, offset - self._start) :]
        if len(rest) < BLOCK:
            raise tarfile.ReadError("no end of archive")
        while rest:
            if any(rest):
                raise tarfile.ReadError("a damaged header")
            rest = super().read()
