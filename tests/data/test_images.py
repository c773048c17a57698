"""Decoding, resizing and the cache of decoded images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from pplr_cli.data import images
from pplr_cli.data.images import load_image, load_images
from pplr_cli.data.manifest import ImageSet
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


def picture(seed: int, size: tuple[int, int] = (20, 30)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def image_set(folder: Path, count: int = 4) -> ImageSet:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        picture(i).save(folder / name)
    unknown = np.full(count, -1)
    return ImageSet(folder, tuple(names), unknown, unknown)


def load(found: ImageSet, *, cache: bool = True) -> np.ndarray:
    return load_images(found, 16, 8, Silent(), workers=2, cache=cache)


def test_resize_is_the_official_transform_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture(0, (64, 128)).save(path)
    official = transforms.Resize((384, 128), interpolation=transforms.InterpolationMode.BICUBIC)
    expected = np.asarray(official(Image.open(path).convert("RGB")))
    np.testing.assert_array_equal(load_image(path, 384, 128), expected)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    converted = picture(0).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    converted.save(path)
    np.testing.assert_array_equal(load_image(path, 30, 20), np.asarray(converted.convert("RGB")))


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)[None].repeat(2, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    found = load_image(tmp_path / "ramp.png", 2, 256)
    np.testing.assert_array_equal(found[0, :, 0], np.arange(256))


def test_cache_holds_what_decoding_gives(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    expected = np.stack([load_image(file, 16, 8) for file in found.files])
    np.testing.assert_array_equal(load(found, cache=False), expected)
    np.testing.assert_array_equal(load(found), expected)
    np.testing.assert_array_equal(load(found), expected)


def test_second_use_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()
    monkeypatch.setattr(images, "load_image", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(load(found), expected)


def test_changed_image_is_decoded_again(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    status = found.files[1].stat()
    picture(77).save(found.files[1])
    os.utime(found.files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    np.testing.assert_array_equal(load(found)[1], load_image(found.files[1], 16, 8))


def test_half_written_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    whole = images.load_image

    def stop(path: Path, height: int, width: int) -> np.ndarray:
        if path.name == "2.png":
            raise KeyboardInterrupt
        return whole(path, height, width)

    monkeypatch.setattr(images, "load_image", stop)
    with pytest.raises(KeyboardInterrupt):
        load(found)
    assert not list((tmp_path / "cache" / "images").iterdir())
    monkeypatch.setattr(images, "load_image", whole)
    assert len(load(found)) == 4


def test_broken_images_are_all_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data", 30)
    data = found.files[3].read_bytes()
    found.files[3].write_bytes(data[: len(data) // 2])
    for file in found.files[5:]:
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)26 images cannot be used:.*3\.png.*and 6 more"):
        load(found)


def test_vanished_image_is_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    found.files[2].unlink()
    with pytest.raises(DataError, match=r"2\.png`: the image is gone"):
        load(found)


def test_full_disk_is_told_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(images.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="decoded images take 0 MB, 0 MB are free"):
        load(found)
