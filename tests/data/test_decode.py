import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pplr_cli.data.decode import decode, verify_images
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


def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (30, 20, 3), dtype=np.uint8))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    picture().convert(mode).save(path, "JPEG" if mode == "CMYK" else "PNG")
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(path)), expected)


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)[None].repeat(2, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    found = np.asarray(decode(tmp_path / "ramp.png"))
    np.testing.assert_array_equal(found[0], np.arange(256)[:, None].repeat(3, 1))
