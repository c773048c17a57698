"""Limits on what an archive may hold: members, bytes, compression ratio, paths."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pplr_cli.errors import DataError
from pplr_cli.files import native

NO_ROOM = "make room there, or choose another data folder with `--data-dir`"
"""The hint where a data set does not fit on the disk."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        members: files and folders.
        bytes: unpacked bytes.
        ratio: unpacked bytes for each byte of the archive, checked beyond `ratio_from` bytes.
        path: characters in a member's path.
        part: bytes in the name of one file or folder.
    """

    members: int = 1_000_000
    bytes: int = 200 * 10**9
    ratio: int = 100
    ratio_from: int = 10_000_000
    path: int = 500
    part: int = 255


class Budget:
    """Counts the members and bytes of an archive, and stops at the limits."""

    def __init__(self, archive: Path, size: int, limits: Limits) -> None:
        self.archive, self._size, self._limits = archive, size, limits
        self._members = self._bytes = 0

    def refuse(self, what: str) -> DataError:
        """Return the error for an archive that is not extracted."""
        hint = "data set archives hold plain files; unpack it yourself if you trust it"
        return DataError(f"`{self.archive}`: {what}", hint)

    def member(self, name: str) -> PurePosixPath:
        """Count a member and return its path, which is relative and stays inside."""
        self._members += 1
        if self._members > self._limits.members:
            raise self.refuse(f"more than {self._limits.members:,} members")
        if not name or "\0" in name:
            raise self.refuse("a member has no name, or a damaged one")
        path = PurePosixPath(name)
        if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
            raise self.refuse(f"member `{name}` points outside")
        parts = (len(part.encode(errors="surrogateescape")) for part in path.parts)
        if len(name) > self._limits.path or max(parts, default=0) > self._limits.part:
            raise self.refuse(f"member `{name[:60]}...` has a path that is too long")
        return PurePosixPath(native(name))

    def count(self, amount: int) -> None:
        """Count unpacked bytes."""
        self._bytes += amount
        if self._bytes > self._limits.bytes:
            raise self.refuse(f"unpacks to more than {self._limits.bytes:,} bytes")
        if self._bytes > max(self._limits.ratio_from, self._size * self._limits.ratio):
            raise self.refuse(f"unpacks to more than {self._limits.ratio} times its size")
