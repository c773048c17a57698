import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, JpegImagePlugin

from pplr_cli.data.decode import Fault, decode, for_all
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_start(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)


def png(
    pixels: list[int], depth: int, colour: int, palette: bytes = b"", alpha: bytes = b""
) -> bytes:
    """An 8 x 8 PNG of one colour, from raw sample values, written by hand."""
    samples = b"".join(value.to_bytes(depth // 8, "big") for value in pixels)
    rows = (b"\0" + samples * 8) * 8
    extra = (chunk(b"PLTE", palette) if palette else b"") + (
        chunk(b"tRNS", alpha) if alpha else b""
    )
    data = chunk(b"IDAT", zlib.compress(rows))
    return png_start(8, 8, depth, colour) + extra + data + chunk(b"IEND", b"")


def noise(mode: str = "RGB", size: tuple[int, int] = (20, 30)) -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def decode_all(root: Path, paths: list[str], *, upright: bool = False) -> list[Image.Image | Fault]:
    """Return each decoded image, or what is wrong with its file."""
    found: dict[str, Image.Image | Fault] = {}

    def work(index: int) -> None:
        found[paths[index]] = decode(root / paths[index], upright=upright)

    found |= {fault.path: fault for fault in for_all(paths, work, "decoding", Silent(), 2)}
    return [found[path] for path in paths]


def faults(root: Path, paths: list[str]) -> list[str]:
    """What is said of the files that cannot be used."""
    return [str(found) for found in decode_all(root, paths) if isinstance(found, Fault)]


# what can be used


def test_whole_images_pass_whatever_their_suffix_says(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["a.jpg", "b.PNG"])
    noise("L").save(tmp_path / "c.jpg", "PNG")
    noise("CMYK").save(tmp_path / "d.jpg", "JPEG")
    assert faults(tmp_path, ["a.jpg", "b.PNG", "c.jpg", "d.jpg"]) == []


def test_every_broken_file_is_listed_with_what_is_wrong(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path, ["good.jpg", "cut.jpg", "cut.png"])
    for name in ("cut.jpg", "cut.png"):
        noise(size=(64, 64)).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>")
    noise().save(tmp_path / "bitmap.jpg", "BMP")
    (tmp_path / "huge.png").write_bytes(png_start(60_000, 60_000) + b"\0\0\0\x10IDAT")
    (tmp_path / "large.png").write_bytes(png_start(10_000, 10_000) + b"\0\0\0\x10IDAT")
    (tmp_path / "grey.png").write_bytes(png_start(9_400, 9_400, 16, 0) + b"\0\0\0\x10IDAT")
    (tmp_path / "lfs.jpg").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    )
    noise(size=(1, 1)).save(tmp_path / "dot.png")
    noise(size=(3, 40)).save(tmp_path / "narrow.png")
    noise(size=(101, 5)).save(tmp_path / "strip.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    broken = {
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "empty.jpg": "empty",
        "page.jpg": "neither a JPEG nor a PNG",
        "bitmap.jpg": "neither a JPEG nor a PNG",
        "huge.png": "too many pixels",
        "large.png": "too many pixels",
        "grey.png": "too many pixels",
        "lfs.jpg": "a Git LFS pointer, not the image: run `git lfs pull`",
        "dot.png": "1 x 1 pixels: narrower than 4",
        "narrow.png": "3 x 40 pixels: narrower than 4",
        "strip.png": "101 x 5 pixels: one side is more than 20 times the other",
        "gone.jpg": "no such file",
        "pipe.jpg": "no such file",
    }
    lines = faults(tmp_path, ["good.jpg", *broken])
    for line, (name, what) in zip(lines, broken.items(), strict=True):
        assert line.startswith(f"{name}: ")
        assert what in line


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_images_cut_anywhere_are_broken(tmp_path: Path, suffix: str, share: float) -> None:
    file = tmp_path / f"x.{suffix}"
    noise(size=(64, 64)).save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert len(faults(tmp_path, [file.name])) == 1


@cache
def whole_images() -> list[bytes]:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "maker"
    found = []
    for mode, kind in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG")):
        buffer = io.BytesIO()
        noise(mode).save(buffer, kind, exif=exif)
        found.append(buffer.getvalue())
    return found


@given(
    which=st.integers(0, 3),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    early=st.booleans(),
)
@settings(max_examples=300)
def test_damage_of_any_kind_is_a_fault_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    changes: list[tuple[float, int]],
    early: bool,
) -> None:
    content = bytearray(whole_images()[which])
    for place, value in changes:
        content[int(place * (min(len(content), 200 if early else 10**6) - 1))] = value
    file = tmp_path_factory.getbasetemp() / "damaged.jpg"
    file.write_bytes(content)
    (found,) = decode_all(file.parent, [file.name], upright=True)
    assert isinstance(found, Fault) or found.mode == "RGB"


def test_the_smallest_and_the_longest_that_pass(tmp_path: Path) -> None:
    for size in ((4, 4), (80, 4), (4, 80)):
        noise(size=size).save(tmp_path / "x.png")
        assert decode(tmp_path / "x.png").size == size


def test_a_fault_names_the_path_and_the_reason() -> None:
    assert str(Fault("a/b.jpg", "empty")) == "a/b.jpg: empty"


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError("out of memory error when reading image file")]
)
def test_memory_that_runs_out_is_not_a_broken_file(
    tmp_path: Path, plant: Plant, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, ["a.jpg", "b.jpg"])

    def load(_: Image.Image) -> None:
        raise error

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", load)
    with pytest.raises(MemoryError):
        decode_all(tmp_path, ["a.jpg", "b.jpg"])


def test_sixteen_bits_take_little_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1000, 1000), np.uint16)).save(tmp_path / "x.png")
    tracemalloc.start()
    try:
        decode(tmp_path / "x.png")
        assert tracemalloc.get_traced_memory()[1] < 6.5e6  # NumPy's share of the 10 bytes a pixel
    finally:
        tracemalloc.stop()


# golden pixels


@pytest.mark.parametrize(
    ("content", "pixel"),
    [
        pytest.param(png([200], 8, 0), (200, 200, 200), id="grey is repeated"),
        pytest.param(png([200, 10], 8, 4), (200, 200, 200), id="grey's alpha is dropped"),
        pytest.param(png([10, 20, 30], 8, 2), (10, 20, 30), id="rgb as it is"),
        pytest.param(png([10, 20, 30, 0], 8, 6), (10, 20, 30), id="alpha is dropped"),
        pytest.param(png([1], 8, 3, b"abcdef"), (100, 101, 102), id="a palette is looked up"),
        pytest.param(png([1], 8, 3, b"abcdef", b"\xff\0"), (100, 101, 102), id="its alpha too"),
        pytest.param(png([0], 16, 0), (0, 0, 0), id="16-bit black"),
        pytest.param(png([65535], 16, 0), (255, 255, 255), id="16-bit white"),
        pytest.param(png([32896], 16, 0), (128, 128, 128), id="16-bit grey"),
        pytest.param(png([0x1234, 0x5678, 0x9ABC], 16, 2), (0x12, 0x56, 0x9A), id="16-bit rgb"),
        pytest.param(png([0xFF00, 0, 0x8000, 0], 16, 6), (255, 0, 128), id="16-bit rgba"),
    ],
)
def test_golden_pixels(tmp_path: Path, content: bytes, pixel: tuple[int, ...]) -> None:
    (tmp_path / "x.png").write_bytes(content)
    found = np.asarray(decode(tmp_path / "x.png"))
    assert found.shape == (8, 8, 3)
    assert np.unique(found.reshape(-1, 3), axis=0).tolist() == [list(pixel)]


@pytest.mark.parametrize(
    ("ink", "pixel"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 128), (127, 127, 127)),
    ],
)
def test_cmyk_is_ink_taken_from_white(
    tmp_path: Path, ink: tuple[int, int, int, int], pixel: tuple[int, ...]
) -> None:
    Image.new("CMYK", (8, 8), ink).save(tmp_path / "x.jpg", quality=100)
    found = np.asarray(decode(tmp_path / "x.jpg")).astype(int)
    assert np.abs(found - pixel).max() <= 2


def test_a_ramp_of_sixteen_bits_is_scaled_not_saturated(tmp_path: Path) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    found = np.asarray(decode(tmp_path / "ramp.png"))
    np.testing.assert_array_equal(found, (ramp // 257)[..., None].repeat(3, 2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_other_modes_become_rgb_as_pillow_has_them(tmp_path: Path, mode: str) -> None:
    noise(mode).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "x.png")), expected)


# rotation

CORNERS = np.array([[10, 20], [30, 40]], dtype=np.uint8)
UPRIGHT = {
    1: [[10, 20], [30, 40]],
    2: [[20, 10], [40, 30]],
    3: [[40, 30], [20, 10]],
    4: [[30, 40], [10, 20]],
    5: [[10, 30], [20, 40]],
    6: [[30, 10], [40, 20]],
    7: [[40, 20], [30, 10]],
    8: [[20, 40], [10, 30]],
}
"""What an image of four patches looks like that is turned as EXIF's orientation says."""


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_exif_rotation_is_applied_where_it_is_wanted(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    file = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(CORNERS.repeat(16, 0).repeat(16, 1)).save(file, exif=exif, quality=95)

    def patches(upright: bool) -> np.ndarray:
        return np.asarray(decode(file, upright=upright))[8::16, 8::16, 0].astype(int)

    assert np.abs(patches(False) - CORNERS).max() <= 2
    assert np.abs(patches(True) - np.array(UPRIGHT.get(orientation, UPRIGHT[1]))).max() <= 2


def test_sixteen_bits_are_turned_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.arange(0, 65536, 257, dtype=np.uint16).reshape(8, 32)).save(
        tmp_path / "x.png", exif=exif
    )
    assert decode(tmp_path / "x.png", upright=True).size == (8, 32)
