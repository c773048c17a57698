import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from pplr_cli.data.verify import verify_images
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]


def forged_png(side: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + checksum + b"\0\0\0\x10IDAT"


def test_whole_images_pass_whatever_their_suffix_says(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["a.jpg", "b.PNG"])
    Image.new("L", (3, 3)).save(tmp_path / "c.jpg", "PNG")
    Image.new("CMYK", (3, 3)).save(tmp_path / "d.jpg", "JPEG")
    verify_images(tmp_path, ["a.jpg", "b.PNG", "c.jpg", "d.jpg"], Silent())


def test_every_broken_file_is_listed_with_what_is_wrong(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["good.jpg", "cut.jpg", "cut.png"])
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.jpg")
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    for name in ("cut.jpg", "cut.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>")
    Image.new("RGB", (3, 3)).save(tmp_path / "bitmap.jpg", "BMP")
    (tmp_path / "huge.png").write_bytes(forged_png(60_000))
    (tmp_path / "large.png").write_bytes(forged_png(10_000))
    broken = {
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "empty.jpg": "empty",
        "page.jpg": "neither a JPEG nor a PNG",
        "bitmap.jpg": "neither a JPEG nor a PNG",
        "huge.png": "too many pixels",
        "large.png": "too many pixels",
        "gone.jpg": "no such file",
    }
    with pytest.raises(DataError, match="8 of 9 image files") as caught:
        verify_images(tmp_path, ["good.jpg", *broken], Silent())
    lines = caught.value.message.splitlines()[1:]
    assert len(lines) == 8
    for line, (name, what) in zip(lines, broken.items(), strict=True):
        assert line.startswith(f"  {name}: ")
        assert what in line
