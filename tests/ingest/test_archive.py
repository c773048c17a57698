import gzip
import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.errors import DataError, PplrError
from pplr_cli.ingest import limits
from pplr_cli.ingest.archive import archive_stem, extract, extract_parts
from pplr_cli.progress import Silent
from tests.ingest import sparse

FILES = {
    "Market/query/a.jpg": random.Random(1).randbytes(5000),
    "Market/b c/é.jpg": random.Random(2).randbytes(512),
    "readme.txt": b"",
}
Packer = Callable[[Path, dict[str, bytes]], Path]


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("Market")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _pack_tar(path: Path, files: dict[str, bytes], mode: str, kind: int) -> Path:
    with tarfile.open(path, mode, format=kind) as archive:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("Market")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def pack_tar(path: Path, files: dict[str, bytes]) -> Path:
    return _pack_tar(path, files, "w", tarfile.PAX_FORMAT)


def pack_old_tar(path: Path, files: dict[str, bytes]) -> Path:
    return _pack_tar(path, files, "w", tarfile.GNU_FORMAT)


def pack_tar_gz(path: Path, files: dict[str, bytes]) -> Path:
    return _pack_tar(path, files, "w:gz", tarfile.PAX_FORMAT)


PACKERS = [pack_zip, pack_tar, pack_old_tar, pack_tar_gz]
packers = pytest.mark.parametrize("pack", PACKERS, ids=lambda pack: pack.__name__)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(archive: Path, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        extract(archive, archive.parent / "out", Silent())
    assert f"`{archive}`" in caught.value.message
    assert caught.value.hint


@packers
def test_archives_are_known_by_their_content(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path / "download", FILES)
    extract(archive, tmp_path / "out", Silent())
    assert files_below(tmp_path / "out") == FILES


def test_backslashes_of_windows_zips_separate_folders(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "x.zip", {"Market\\query\\a.jpg": b"a"})
    extract(archive, tmp_path / "out", Silent())
    assert files_below(tmp_path / "out") == {"Market/query/a.jpg": b"a"}


@pytest.mark.parametrize("content", [b"", b"\0" * 2048, b"Rar!\x1a\x07" + b"x" * 600])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", "no archive")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html>log in", "a web page, no archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, no archive"),
    ],
)
def test_what_came_instead_of_an_archive(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", what)


@packers
@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/tmp/pplr-evil.jpg", "a/../../evil.jpg", "C:/evil.jpg", "C:evil.jpg"]
)
def test_paths_that_point_outside(tmp_path: Path, pack: Packer, name: str) -> None:
    refused(pack(tmp_path / "x", {name: b"evil"}), "points outside")
    assert not list(tmp_path.parent.rglob("*evil.jpg"))
    assert not Path("/tmp/pplr-evil.jpg").exists()


@packers
def test_paths_that_are_too_long(tmp_path: Path, pack: Packer) -> None:
    refused(pack(tmp_path / "x", {"a/" * 300 + "b.jpg": b"x"}), "too long")
    refused(pack(tmp_path / "y", {"é" * 140 + ".jpg": b"x"}), "too long")


@packers
def test_a_file_twice_and_a_file_as_a_folder(tmp_path: Path, pack: Packer) -> None:
    refused(pack(tmp_path / "x", {"a/b.jpg": b"x", "a//b.jpg": b"y"}), "twice")
    refused(pack(tmp_path / "y", {"c.jpg": b"x", "c.jpg/b.jpg": b"y"}), "twice")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_tar_members_that_are_no_files(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("query")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(member)
    refused(tmp_path / "x.tar", "`query` is a link or a device")
    assert not files_below(tmp_path / "out")


@pytest.mark.parametrize("pack", [sparse.gnu, sparse.pax])
@pytest.mark.parametrize("packed", [False, True])
def test_sparse_tar_members(
    tmp_path: Path, pack: Callable[[str, int], bytes], packed: bool
) -> None:
    content = pack("a.jpg", 30_000_000) + bytes(2 * tarfile.BLOCKSIZE)
    (tmp_path / "x.tar").write_bytes(gzip.compress(content) if packed else content)
    refused(tmp_path / "x.tar", "`a.jpg` is a sparse file")
    assert not files_below(tmp_path / "out")


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "x,5", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0,5", "GNU.sparse.size": "many"},
        {"GNU.sparse.map": "9" * 5000 + ",5", "GNU.sparse.size": "9"},
        {"GNU.sparse.size": "-9", "GNU.sparse.offset": "-1", "GNU.sparse.numbytes": "x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "size": "2"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "size": "-7"},
        {"size": "9" * 5000},
        {"mtime": "never"},
    ],
    ids=str,
)
def test_broken_sparse_headers(tmp_path: Path, headers: dict[str, str]) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.size, info.pax_headers = 5, headers
    content = info.tobuf(tarfile.PAX_FORMAT) + b"data!".ljust(512, b"\0") + bytes(1024)
    (tmp_path / "x.tar").write_bytes(content)
    with suppress(DataError):
        extract(tmp_path / "x.tar", tmp_path / "out", Silent())
        assert files_below(tmp_path / "out") == {"a.jpg": b"data!"}


@given(st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), min_size=1, max_size=5))
def test_broken_headers_of_old_sparse_members(changes: list[tuple[int, int]]) -> None:
    content = bytearray(sparse.gnu("a.jpg", 2000) + bytes(1024))
    for place, value in changes:
        content[place] = value
    content[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(content[:512]))[0]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "x.tar").write_bytes(content)
        with suppress(DataError):
            extract(Path(name) / "x.tar", Path(name) / "out", Silent())


def test_headers_nested_without_end(tmp_path: Path) -> None:
    header = tarfile.TarInfo("name")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3
    once = header.tobuf(tarfile.GNU_FORMAT) + b"abc".ljust(512, b"\0")
    (tmp_path / "x.tar").write_bytes(once * 3000 + bytes(1024))
    refused(tmp_path / "x.tar", "damaged or cut short")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_zip_members_that_are_no_files(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("query")
    member.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    refused(tmp_path / "x.zip", "`query` is a link or a device")
    assert not files_below(tmp_path / "out")


def test_encrypted_members(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "x.zip", {"a.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    content[central + 8] |= 1
    archive.write_bytes(content)
    refused(archive, "encrypted")


def test_methods_that_cannot_be_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.jpg", b"x" * 100)
    refused(tmp_path / "x.zip", "cannot be read")


@packers
def test_archives_cut_anywhere(tmp_path: Path, pack: Packer) -> None:
    whole = pack(tmp_path / "whole", FILES).read_bytes()
    end = len(whole.rstrip(b"\0"))
    cuts = {*range(600, end, 997), *range(1024, end, 512), len(whole) // 2, end - 1}
    for cut in sorted(cuts):
        (tmp_path / "cut").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="damaged or cut short"):
            extract(tmp_path / "cut", tmp_path / f"out{cut}", Silent())


@pytest.mark.parametrize("pack", [pack_zip, pack_tar_gz])
def test_a_flipped_bit_in_a_member_is_found_by_the_checksum(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path / "x", {"a.jpg": random.Random(3).randbytes(4000)})
    content = bytearray(archive.read_bytes())
    content[2000] ^= 4
    archive.write_bytes(content)
    refused(archive, "damaged")


def test_a_damaged_tar_header_in_the_middle_does_not_end_the_archive(tmp_path: Path) -> None:
    archive = pack_old_tar(tmp_path / "x.tar", FILES)
    content = bytearray(archive.read_bytes())
    content[content.index(b"readme.txt") + 150] ^= 1
    archive.write_bytes(content)
    refused(archive, "damaged header")


@pytest.mark.parametrize("rest", [b"x", bytes(2_000_000) + b"x"])
def test_only_zeros_may_follow_the_end_of_a_tar_file(tmp_path: Path, rest: bytes) -> None:
    archive = pack_tar(tmp_path / "x.tar", FILES)
    archive.write_bytes(archive.read_bytes() + bytes(1024))
    extract(archive, tmp_path / "sound", Silent())
    archive.write_bytes(archive.read_bytes() + rest)
    refused(archive, "damaged header")


@pytest.mark.parametrize("pack", [pack_zip, pack_tar_gz])
def test_bombs_stop_while_streaming(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path / "bomb", {"zeros.jpg": bytes(40_000_000)})
    refused(archive, "100 times its size")
    written = sum(len(content) for content in files_below(tmp_path / "out").values())
    assert written <= max(10_000_000, 100 * archive.stat().st_size)


def test_a_bomb_in_a_header_stops(tmp_path: Path) -> None:
    header = tarfile.TarInfo("name")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 20_000_000
    with gzip.open(tmp_path / "x.tgz", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(25_000_000))
    refused(tmp_path / "x.tgz", "100 times its size")


@packers
def test_caps_on_members_and_bytes(
    tmp_path: Path, pack: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "x", FILES)
    with monkeypatch.context() as few:
        few.setattr(limits, "MOST_MEMBERS", 2)
        refused(archive, "more than 2 members")
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(limits, "MOST_BYTES", 5000)
    refused(archive, "more than 5,000 bytes")


def test_space_is_checked_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack_zip(tmp_path / "x.zip", FILES)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(PplrError, match=r"needs 5\.5 kB, 100 bytes are free"):
        extract(archive, tmp_path / "out", Silent())
    assert not files_below(tmp_path / "out")


def test_nested_archives_stay_files(tmp_path: Path) -> None:
    inner = pack_zip(tmp_path / "inner.zip", FILES).read_bytes()
    extract(pack_tar(tmp_path / "x.tar", {"inner.zip": inner}), tmp_path / "out", Silent())
    assert files_below(tmp_path / "out") == {"inner.zip": inner}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Market-1501-v15.09.15.zip", "Market-1501-v15.09.15"),
        ("MSMT17_V1.TAR.GZ", "MSMT17_V1"),
        ("VeRi.tgz", "VeRi"),
        ("VeRi.tar", "VeRi"),
        ("VeRi.7z", None),
        (".zip", None),
    ],
)
def test_stems_of_archive_names(name: str, stem: str | None) -> None:
    assert archive_stem(name) == stem


# parts


def test_parts_make_one_tree(tmp_path: Path) -> None:
    first = pack_zip(tmp_path / "1.zip", {"M/train/a.jpg": b"a", "readme.txt": b"r"})
    second = pack_tar_gz(tmp_path / "2.tgz", {"M/test/b.jpg": b"b", "readme.txt": b"r"})
    extract_parts([first, second], tmp_path / "out", Silent())
    assert files_below(tmp_path) == {
        **{path.name: path.read_bytes() for path in (first, second)},
        "out/M/train/a.jpg": b"a",
        "out/M/test/b.jpg": b"b",
        "out/readme.txt": b"r",
    }


@pytest.mark.parametrize("files", [{"a": b"y"}, {"a/b": b"x"}, {"b": b"x"}])
def test_parts_that_contradict_each_other(tmp_path: Path, files: dict[str, bytes]) -> None:
    first = pack_tar(tmp_path / "1", {"a": b"x", "b/c": b"x"})
    second = pack_tar(tmp_path / "2", files)
    with pytest.raises(
        DataError, match=f"{next(iter(files))}` differs from that of an earlier"
    ) as caught:
        extract_parts([first, second], tmp_path / "out", Silent())
    assert f"`{second}`" in caught.value.message


def test_room_for_all_parts_is_checked_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [pack_tar(tmp_path / name, FILES) for name in "12"]
    free = parts[0].stat().st_size + 1
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(PplrError, match=r"needs 20\.5 kB, 10\.2 kB are free") as caught:
        extract_parts(parts, tmp_path / "out", Silent())
    assert all(f"`{part}`" in caught.value.message for part in parts)
    assert not (tmp_path / "out").exists()


# a full disk, other locales

LIMITED = """
import resource, signal, sys
from pathlib import Path
from pplr_cli.ingest.archive import extract
from pplr_cli.errors import PplrError
from pplr_cli.progress import Silent
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    extract(Path(sys.argv[1]), Path(sys.argv[2]), Silent())
except PplrError as error:
    print(error.message, error.hint)
"""


def test_a_file_that_finds_no_room_while_unpacking(tmp_path: Path) -> None:
    archive = pack_tar_gz(tmp_path / "x.tgz", FILES)
    command = [sys.executable, "-c", LIMITED, str(archive), str(tmp_path / "out")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"`{tmp_path}`: no room for all of `{archive}`" in said
    assert "--data-dir" in said


UNPACK = """
import sys
from pathlib import Path
from pplr_cli.ingest.archive import extract
from pplr_cli.progress import Silent
extract(Path(sys.argv[1]), Path(sys.argv[2]), Silent())
"""


@packers
def test_names_are_the_same_in_an_ascii_locale(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path / "x", FILES)
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", UNPACK, str(archive), str(tmp_path / "out")]
    subprocess.run(command, env={**os.environ, **ascii_locale}, check=True)
    assert files_below(tmp_path / "out") == FILES
