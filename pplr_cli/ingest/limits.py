"""Limits on what an archive may contain: members, bytes, compression ratio, paths."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from pplr_cli.errors import DataError
from pplr_cli.files import native

RATIO, RATIO_FROM = 100, 10_000_000
"""Most unpacked bytes for each byte of an archive, checked beyond the first 10 MB."""
LONGEST_PATH, LONGEST_NAME = 500, 255
"""Characters in a member's path, bytes in the name of one file or folder."""


MOST_MEMBERS, MOST_BYTES = 1_000_000, 200 * 10**9
"""Most files and folders, and most unpacked bytes, of one archive."""


class Budget:
    """Counts the members and bytes of an archive that is unpacked; stops at the limits."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        self._most = max(RATIO_FROM, archive.stat().st_size * RATIO)
        self._members = self._bytes = 0

    def refuse(self, what: str) -> DataError:
        """Return the error for an archive that is not extracted."""
        hint = "data set archives hold plain files; unpack it yourself if you trust it"
        return DataError(f"`{self.archive}`: {what}", hint)

    def member(self, name: str) -> PurePosixPath:
        """Count a member and return its path, which is relative and stays inside."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise self.refuse(f"more than {MOST_MEMBERS:,} members")
        if not name or "\0" in name:
            raise self.refuse("a member has no name, or a damaged one")
        path = PurePosixPath(name)
        if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
            raise self.refuse(f"member `{name}` points outside")
        longest = max((len(p.encode(errors="surrogateescape")) for p in path.parts), default=0)
        if len(name) > LONGEST_PATH or longest > LONGEST_NAME:
            raise self.refuse(f"member `{name[:60]}...` has a path that is too long")
        return PurePosixPath(native(name))

    def count(self, amount: int) -> None:
        """Count unpacked bytes."""
        self._bytes += amount
        if self._bytes > MOST_BYTES:
            raise self.refuse(f"unpacks to more than {MOST_BYTES:,} bytes")
        if self._bytes > self._most:
            raise self.refuse(f"unpacks to more than {RATIO} times its size")


class Counted:
    """Reads a file forwards and counts the bytes."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int = 1 << 20) -> bytes:
        """Read up to `size` bytes."""
        piece = self._file.read(size)
        self._budget.count(len(piece))
        return piece
