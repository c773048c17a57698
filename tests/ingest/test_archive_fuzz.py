"""Made-up archives: nothing is ever written outside, and no half data set is ever left."""

import io
import stat
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import PplrError
from pplr_cli.ingest.library import prepare
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.progress import Silent
from tests.ingest import sparse

NAMES = (
    *("a.jpg", "A.JPG", "b/a.jpg", "b", "b/c/d.png", "./a.jpg", "b//a.jpg", "é.jpg", "x.txt", "b/"),
    *("../evil.jpg", "b/../../evil.jpg", "/evil.jpg", "//evil.jpg", "\\evil.jpg", "..\\evil.jpg"),
    *("C:/evil.jpg", "C:evil.jpg", "..", ".", "/", "", "con.jpg", "a.jpg ", "-rf.jpg", "\n.jpg"),
    *("manifest.json", "images", "../manifest.json", "../../shop/manifest.json", "long" * 80),
    *("x\0y.jpg", "../.shop.lock", "__MACOSX/a.jpg", "a.jpg/b.jpg", "loop/loop/a.jpg"),
)
TAR_KINDS = (
    *(tarfile.REGTYPE,) * 6,
    *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
    *(tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE),
)
HOLE = 2_000_000
"""Bytes of a sparse member; far more than any archive here."""
ZIP_KINDS = (0, 0, 0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO)


@dataclass(frozen=True)
class Member:
    """What one member of an archive is to be."""

    name: str
    kind: int
    link: str
    content: bytes


@cache
def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((16, 16), 10 + seed).save(buffer, "PNG")
    return buffer.getvalue()


members = st.builds(
    Member,
    st.sampled_from(NAMES) | st.text(min_size=1, max_size=8),
    st.integers(0, 99),
    st.sampled_from(("..", "/etc/passwd", "a.jpg", "/", "../../..", "")),
    st.sampled_from([picture(n) for n in range(4)]) | st.binary(max_size=40),
)


def pack_zip(found: list[Member], flags: int) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_STORED if flags % 2 else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for member in found:
            info = zipfile.ZipInfo("x")
            info.filename = member.name.encode(errors="replace").decode()
            info.external_attr = (ZIP_KINDS[member.kind % len(ZIP_KINDS)] | 0o644) << 16
            info.compress_type = method
            archive.writestr(info, member.content)
            archive.NameToInfo.clear()  # lest the module warns of names that come twice
    content = bytearray(buffer.getvalue())
    central = content.find(b"PK\x01\x02")
    if flags % 7 == 0 and central >= 0:
        content[central + 8] |= 1  # encrypted
    return bytes(content)


def pack_tar(found: list[Member], flags: int) -> bytes:
    buffer = io.BytesIO()
    kind = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)[flags % 3]
    mode = "w:gz" if flags % 2 else "w"
    with tarfile.open(fileobj=buffer, mode=mode, format=kind) as archive:  # type: ignore[call-overload]
        for member in found:
            info = tarfile.TarInfo(member.name.replace("\0", "?"))
            info.type, info.linkname = TAR_KINDS[member.kind % len(TAR_KINDS)], member.link
            info.size = len(member.content) if info.isreg() else 0
            if info.type == tarfile.GNUTYPE_SPARSE:
                _add_sparse(archive, info.name)
                continue
            try:
                archive.addfile(info, io.BytesIO(member.content))
            except ValueError:
                continue  # this format cannot hold the name
    return buffer.getvalue()


def _add_sparse(archive: tarfile.TarFile, name: str) -> None:
    pack = sparse.pax if archive.format == tarfile.PAX_FORMAT else sparse.gnu
    with suppress(ValueError):  # this format cannot hold the name
        content = pack(name, HOLE)
        assert archive.fileobj is not None
        archive.fileobj.write(content)
        archive.offset += len(content)


def damage(content: bytes, cut: float, flips: list[tuple[float, int]]) -> bytes:
    damaged = bytearray(content[: max(1, int(len(content) * cut))])
    for place, bit in flips:
        damaged[int(place * (len(damaged) - 1))] ^= 1 << bit
    return bytes(damaged)


def everything_below(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


shares = st.floats(0, 1)


archives = given(
    found=st.lists(members, max_size=6),
    flags=st.integers(0, 41),
    as_zip=st.booleans(),
    cut=st.just(1.0) | shares,
    flips=st.just([]) | st.lists(st.tuples(shares, st.integers(0, 7)), max_size=4),
)


@archives
@settings(max_examples=60)
def test_no_archive_writes_outside_or_leaves_half_a_data_set(**made_up: Any) -> None:
    check(**made_up)


@pytest.mark.long
@archives
@settings(max_examples=3000)
def test_no_archive_of_many_does(**made_up: Any) -> None:
    check(**made_up)


def check(
    found: list[Member], flags: int, as_zip: bool, cut: float, flips: list[tuple[float, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        data = outer / "in" / "data"
        data.mkdir(parents=True)
        content = pack_zip(found, flags) if as_zip else pack_tar(found, flags)
        (outer / "in" / "x").write_bytes(damage(content, cut, flips))
        before = everything_below(outer)
        request = PrepareRequest("folder", [outer / "in" / "x"], data, "shop", skip_bad=True)
        refused = None
        try:
            prepared = prepare(request, Silent())
        except PplrError as error:
            refused = error
        after = everything_below(outer)
        after.pop("in/data/shop.bad.txt", None)
        if refused is not None:
            assert refused.hint
            assert after == before
            return
        ours = {path for path in after if path.split("/")[:3] == ["in", "data", "shop"]}
        assert {path: held for path, held in after.items() if path not in ours} == before
        assert {path.name for path in (data / "shop").iterdir()} == {"images", "manifest.json"}
        images = data / "shop" / "images"
        assert all(not path.is_symlink() for path in images.rglob("*"))
        assert all(path.is_file() or path.is_dir() for path in images.rglob("*"))
        assert all(path.stat().st_size < HOLE for path in images.rglob("*"))
        manifest = Manifest.load(prepared.path)
        assert manifest.images
        assert all((images / path).resolve().is_relative_to(images) for path in manifest.paths)
        Image.open(images / manifest.paths[0]).load()
    assert not Path("/evil.jpg").exists()
