"""Unpacks zip, tar and tar.gz archives that nobody vouches for.

Only regular files and folders are taken. Absolute and parent paths, links, devices, sparse,
encrypted or damaged members end it with one error; caps on count, bytes and ratio hold while
streaming, so that no header is believed. The caller gives a staged folder (`staging.py`), so that
nothing stays of an archive that fails.
"""

import errno
import filecmp
import gzip
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from pplr_cli.errors import DataError, PplrError
from pplr_cli.files import MEGABYTE, check_space, native
from pplr_cli.ingest.tar_stream import Counted, TarStream
from pplr_cli.progress import Reporter, Task

CHUNK = 1 << 20
NO_ROOM = "make room there, or choose another data folder with `--data-dir`"
"""The way out where a data set does not fit on the disk."""
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    UnicodeDecodeError,
)
"""What the archive modules raise on damaged input."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        members: files and folders.
        bytes: unpacked bytes.
        ratio: unpacked bytes for each byte of the archive, looked at beyond `ratio_from` bytes.
        path: characters in a member's path.
        part: bytes in the name of one file or folder.
    """

    members: int = 1_000_000
    bytes: int = 200 * 10**9
    ratio: int = 100
    ratio_from: int = 10_000_000
    path: int = 500
    part: int = 255


def archive_stem(name: str) -> str | None:
    """Return an archive's name without `.zip`, `.tar`, `.tar.gz` or `.tgz`; None for others."""
    match = re.fullmatch(r"(.+)\.(zip|tar|tar\.gz|tgz)", name, re.IGNORECASE)
    return match[1] if match else None


def extract_parts(archives: Sequence[Path], folder: Path, reporter: Reporter) -> None:
    """Unpack the archives that a data set comes in into one folder, as `extract` does.

    A file that several hold is kept once, if it is the same in all.

    Raises:
        DataError: as `extract`, or a file that differs between two archives.
    """
    total = sum(archive.stat().st_size for archive in archives)
    what = f"unpacking {', '.join(f'`{archive}`' for archive in archives)}"
    check_space(folder.parent, total, what, NO_ROOM)
    first, *others = archives
    extract(first, folder, reporter)
    for archive in others:
        part = folder.with_name(f"{folder.name}.part")
        extract(archive, part, reporter)
        _merge(part, folder, archive)
        shutil.rmtree(part)


def _merge(part: Path, folder: Path, archive: Path) -> None:
    """Move the files of a part into the folder."""
    for file in sorted(path for path in part.rglob("*") if path.is_file()):
        target = folder / file.relative_to(part)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            clash = target.exists() and not (
                target.is_file() and filecmp.cmp(file, target, shallow=False)
            )
        except (FileExistsError, NotADirectoryError):
            clash = True
        if clash:
            message = (
                f"`{archive}`: its `{file.relative_to(part)}` is another than that of a part before"
            )
            raise DataError(message, "give the parts of one data set, each once")
        file.replace(target)


def extract(archive: Path, folder: Path, reporter: Reporter, limits: Limits | None = None) -> None:
    """Unpack `archive` (known by its content, not its name) into an empty folder.

    Raises:
        DataError: no archive, a damaged or encrypted one, a forbidden member.
        PplrError: too little space.
    """
    kind = _kind(archive)
    size = archive.stat().st_size
    budget = _Budget(archive, size, limits or Limits())
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _faults_named(archive, folder),
        reporter.task(f"unpacking {archive.name}", -(-size // MEGABYTE), "MB") as task,
    ):
        if kind == "zip":
            _extract_zip(archive, folder, budget, task)
        else:
            _extract_tar(archive, folder, budget, task, compressed=kind == "gzip")


def _kind(archive: Path) -> str:
    with archive.open("rb") as file:
        start = file.read(512)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        hint = (
            "zip, tar and tar.gz archives can be read; unpack others and give the folder; join the "
            "pieces of one first: `cat x.zip.* > x.zip`"
        )
        raise DataError(f"`{archive}`: no archive, or a kind that cannot be read", hint) from error
    return "tar"


@contextmanager
def _faults_named(archive: Path, folder: Path) -> Iterator[None]:
    """Turn damaged input and a disk that fills up into one error."""
    try:
        yield
    except DAMAGE as error:
        raise _damaged(archive, error) from error
    except NotImplementedError as error:
        message = f"`{archive}`: packed in a way that cannot be read ({error})"
        raise DataError(message, "unpack the archive and give the folder") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a member that begins before the file does
            raise _damaged(archive, error) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        message = f"`{folder.parent}`: no room for all of `{archive}` ({error.strerror})"
        raise PplrError(message, NO_ROOM) from error


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"`{archive}`: damaged or cut short ({error})", "fetch the archive again")


class _Budget:
    """Counts what comes out of an archive and stops at the limits."""

    def __init__(self, archive: Path, size: int, limits: Limits) -> None:
        self.archive, self._size, self._limits = archive, size, limits
        self._members = self._bytes = 0

    def refuse(self, what: str) -> DataError:
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
        longest = max(
            (len(part.encode(errors="surrogateescape")) for part in path.parts), default=0
        )
        if len(name) > self._limits.path or longest > self._limits.part:
            raise self.refuse(f"member `{name[:60]}...` has a path that is too long")
        return PurePosixPath(native(name))

    def count(self, amount: int) -> None:
        """Count unpacked bytes."""
        self._bytes += amount
        if self._bytes > self._limits.bytes:
            raise self.refuse(f"unpacks to more than {self._limits.bytes:,} bytes")
        if self._bytes > max(self._limits.ratio_from, self._size * self._limits.ratio):
            raise self.refuse(f"unpacks to more than {self._limits.ratio} times its size")


def _write(source: IO[bytes] | Counted, folder: Path, path: PurePosixPath, budget: _Budget) -> None:
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise budget.refuse(f"holds `{path}` twice") from error


# zip


def _extract_zip(archive: Path, folder: Path, budget: _Budget, task: Task) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        needed = sum(member.file_size for member in members)
        check_space(folder.parent, needed, f"unpacking `{archive}`", NO_ROOM)
        progress = _Megabytes(task)
        for member in members:
            path = budget.member(member.filename.replace("\\", "/"))
            _check_zip_member(member, budget)
            if not member.is_dir():
                with file.open(member) as source:
                    _write(Counted(source, budget.count), folder, path, budget)
            progress.reach(progress.done + member.compress_size)


def _check_zip_member(member: zipfile.ZipInfo, budget: _Budget) -> None:
    if member.flag_bits & 1:
        raise budget.refuse(f"member `{member.filename}` is encrypted")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise budget.refuse(f"member `{member.filename}` is a link or a device")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError(f"method {member.compress_type}")


# tar


def _extract_tar(
    archive: Path, folder: Path, budget: _Budget, task: Task, *, compressed: bool
) -> None:
    check_space(folder.parent, archive.stat().st_size, f"unpacking `{archive}`", NO_ROOM)
    progress = _Megabytes(task)
    with archive.open("rb") as packed:
        opened = gzip.GzipFile(fileobj=packed) if compressed else packed
        stream = TarStream(cast(IO[bytes], opened), budget.count)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", encoding="utf-8") as file:
            for member in file:
                path = budget.member(member.name)
                if member.issparse():  # its holes are made up, and never counted
                    raise budget.refuse(f"member `{member.name}` is a sparse file")
                if member.isreg():
                    source = file.extractfile(member)
                    assert source is not None  # a regular file has content
                    _write(source, folder, path, budget)
                elif not member.isdir():
                    raise budget.refuse(f"member `{member.name}` is a link or a device")
                progress.reach(packed.tell())
            stream.check_end(file.offset)


class _Megabytes:
    """Advances a task in whole megabytes of the archive."""

    def __init__(self, task: Task) -> None:
        self._task, self.done = task, 0

    def reach(self, position: int) -> None:
        before, self.done = self.done // MEGABYTE, position
        if position // MEGABYTE > before:
            self._task.advance(position // MEGABYTE - before)
