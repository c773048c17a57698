"""Unpacks untrusted zip, tar and tar.gz archives.

Only regular files and folders are extracted. Absolute and parent paths, links, devices, sparse,
encrypted or damaged members end the extraction with one error; caps on count, bytes and ratio are
measured while streaming, so that no header is trusted. The caller provides a staged folder
(`staging.py`), so that nothing remains of an archive that fails.
"""

import errno
import filecmp
import gzip
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

from pplr_cli.errors import DataError, PplrError
from pplr_cli.files import LFS_POINTER, check_space, is_web_page
from pplr_cli.ingest.limits import Budget, Counted
from pplr_cli.ingest.staging import NO_ROOM
from pplr_cli.progress import Reporter

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    RecursionError,
    ValueError,
)
"""What the archive modules raise on damaged input, broken sparse and pax headers included."""


Member = tuple[str, "IO[bytes] | Counted | None", int]
"""A member's name, its content (None for a folder), and the bytes of the archive read so far."""


class StrictHeader(tarfile.TarInfo):
    """A tar header; `tarfile` would take a damaged or missing one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Parse a header; only a block of zeros is the end."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf) or len(buf) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError(f"damaged header: {error}") from error
            raise


def archive_stem(name: str) -> str | None:
    """Return an archive's name without `.zip`, `.tar`, `.tar.gz` or `.tgz`; None for others."""
    match = re.fullmatch(r"(.+)\.(zip|tar|tar\.gz|tgz)", name, re.IGNORECASE)
    return match[1] if match else None


def extract_parts(archives: Sequence[Path], folder: Path, reporter: Reporter) -> None:
    """Unpack the archives of one data set into one folder, as `extract` does.

    A file that is in several archives must be the same in all.

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
        name = file.relative_to(part)
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            clash = target.exists() and not filecmp.cmp(file, target, shallow=False)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            clash = True
        if clash:
            message = f"`{archive}`: its `{name}` differs from that of an earlier archive"
            raise DataError(message, "give the archives of one data set, each once")
        file.replace(target)


def extract(archive: Path, folder: Path, reporter: Reporter) -> None:
    """Unpack `archive`, whatever its name, into an empty folder.

    Raises:
        DataError: no archive, a damaged or encrypted one, a forbidden member.
        PplrError: too little space.
    """
    members = _reader(archive)
    budget = Budget(archive, folder)
    folder.mkdir(parents=True, exist_ok=True)
    progress = reporter.task(f"unpacking {archive.name}", archive.stat().st_size, "bytes")
    with _faults_named(archive, folder), progress as task:
        done = 0
        for name, content, position in members(archive, budget):
            path = budget.member(name)
            if content is not None:
                _write(content, path, budget)
            task.advance(position - done)
            done = position


def _reader(archive: Path) -> Callable[[Path, Budget], Iterator[Member]]:
    """Return what reads an archive, by its first bytes."""
    with archive.open("rb") as file:
        start = file.read(512)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members
    if start.startswith(GZIP) or _is_tar(start):
        return _tar_members
    if start.startswith(LFS_POINTER):
        raise DataError(f"`{archive}`: a Git LFS pointer, no archive", "run `git lfs pull`")
    if is_web_page(start):
        raise DataError(f"`{archive}`: a web page, no archive", "download the archive itself")
    raise DataError(
        f"`{archive}`: no archive, or of a kind that cannot be read",
        "zip, tar and tar.gz archives can be read; unpack others and give the folder; join the "
        "pieces of one first: `cat x.zip.* > x.zip`",
    )


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


@contextmanager
def _faults_named(archive: Path, folder: Path) -> Iterator[None]:
    """Turn damaged input and a full disk into one error."""
    try:
        yield
    except NotImplementedError as error:
        message = f"`{archive}`: packed in a way that cannot be read ({error})"
        raise DataError(message, "unpack the archive and give the folder") from error
    except (*DAMAGE, OSError) as error:
        code = error.errno if isinstance(error, OSError) else None
        if isinstance(error, DAMAGE) or code == errno.EINVAL:  # EINVAL: before the file's start
            message = f"`{archive}`: damaged or cut short ({error})"
            raise DataError(message, "fetch the archive again") from error
        if code not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        message = f"`{folder.parent}`: no room for all of `{archive}` ({os.strerror(code)})"
        raise PplrError(message, NO_ROOM) from error


def _write(source: IO[bytes] | Counted, path: PurePosixPath, budget: Budget) -> None:
    target = budget.folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise budget.refuse(f"holds `{path}` twice") from error


def _zip_members(archive: Path, budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        needed = sum(member.file_size for member in members)
        check_space(budget.folder.parent, needed, f"unpacking `{archive}`", NO_ROOM)
        position = 0
        for info in members:
            name = info.filename.replace("\\", "/")
            position += info.compress_size
            if info.flag_bits & 1:
                raise budget.refuse(f"member `{name}` is encrypted")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise budget.refuse(f"member `{name}` is a link or a device")
            if info.is_dir():
                yield name, None, position
                continue
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise budget.refuse(f"member `{name}` has a compression that cannot be read")
            with file.open(info) as source:
                yield name, Counted(source, budget), position


def _tar_members(archive: Path, budget: Budget) -> Iterator[Member]:
    with archive.open("rb") as packed:
        compressed = packed.read(len(GZIP)) == GZIP
        packed.seek(0)
        opened = cast(IO[bytes], gzip.GzipFile(fileobj=packed)) if compressed else packed
        stream = cast(IO[bytes], Counted(opened, budget))
        with tarfile.open(
            fileobj=stream, mode="r|", encoding="utf-8", tarinfo=StrictHeader
        ) as file:
            for info in file:
                if info.issparse():  # its holes are never counted
                    raise budget.refuse(f"member `{info.name}` is a sparse file")
                if not (info.isreg() or info.isdir()):
                    raise budget.refuse(f"member `{info.name}` is a link or a device")
                yield info.name, file.extractfile(info), packed.tell()
            rest = cast(IO[bytes], file.fileobj)
            while piece := rest.read(CHUNK):  # reads gzip's checksum, too
                if any(piece):
                    raise tarfile.ReadError("damaged header")
