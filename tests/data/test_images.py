"""Decoding, resizing and the cache of decoded images."""

import multiprocessing
import os
import shutil
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from torchvision import transforms

from pplr_cli.data import decode as decode_module
from pplr_cli.data import images
from pplr_cli.data.decode import decode
from pplr_cli.data.images import load_images
from pplr_cli.data.manifest import ImageSet
from pplr_cli.errors import DataError, PplrError
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


def resized(file: Path) -> np.ndarray:
    return np.asarray(decode(file).resize((8, 16), Image.Resampling.BICUBIC))


def load(found: ImageSet, *, cache: bool = True) -> np.ndarray:
    return load_images(found, 16, 8, Silent(), workers=2, cache=cache)


def test_resize_is_the_official_transform_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture(0, (64, 128)).save(path)
    official = transforms.Resize((384, 128), interpolation=transforms.InterpolationMode.BICUBIC)
    expected = np.asarray(official(Image.open(path).convert("RGB")))
    unknown = np.array([-1])
    found = ImageSet(tmp_path, ("a.jpg",), unknown, unknown)
    pixels = load_images(found, 384, 128, Silent(), workers=1, cache=False)
    np.testing.assert_array_equal(pixels[0], expected)


def test_cache_holds_what_decoding_gives(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    expected = np.stack([resized(file) for file in found.files])
    np.testing.assert_array_equal(load(found, cache=False), expected)
    np.testing.assert_array_equal(load(found), expected)
    np.testing.assert_array_equal(load(found), expected)


def test_second_use_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()
    monkeypatch.setattr(images, "decode_all", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(load(found), expected)


def test_changed_image_is_decoded_again(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    status = found.files[1].stat()
    picture(77).save(found.files[1])
    os.utime(found.files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    np.testing.assert_array_equal(load(found)[1], resized(found.files[1]))


def test_same_size_edit_is_decoded_again(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    for file in found.files:
        Image.open(file).save(file.with_suffix(".bmp"), "PNG", compress_level=0)
        file.write_bytes(file.with_suffix(".bmp").read_bytes())
    load(found)
    size = found.files[1].stat().st_size
    picture(77).save(found.files[1], compress_level=0)
    assert found.files[1].stat().st_size == size
    np.testing.assert_array_equal(load(found)[1], resized(found.files[1]))


@pytest.mark.parametrize(
    "change", [{"contents": ("a", "b", "c", "d")}, {"upright": True}, {"paths": ("3.png",) * 4}]
)
def test_what_the_manifest_says_is_part_of_the_key(tmp_path: Path, change: dict[str, Any]) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    load(replace(found, **change))
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 2


def test_own_images_are_decoded_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(1, (40, 30)).save(tmp_path / "x.png", exif=exif)
    unknown = np.array([-1])
    for upright in (False, True):
        found = ImageSet(tmp_path, ("x.png",), unknown, unknown, upright=upright)
        expected = decode(tmp_path / "x.png", upright=upright)
        expected = expected.resize((8, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(load(found)[0], np.asarray(expected))


def test_half_written_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    whole = decode_module.decode

    def stop(path: Path, *, upright: bool) -> Image.Image:
        if path.name == "2.png":
            raise KeyboardInterrupt
        return whole(path, upright=upright)

    monkeypatch.setattr(decode_module, "decode", stop)
    with pytest.raises(KeyboardInterrupt):
        load(found)
    assert not list((tmp_path / "cache" / "images").iterdir())
    monkeypatch.setattr(decode_module, "decode", whole)
    assert len(load(found)) == 4


def decode_in_another_process(found: ImageSet, start: Barrier) -> None:
    start.wait()
    load(found)


def test_two_processes_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data", 200)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    jobs = [context.Process(target=decode_in_another_process, args=(found, start)) for _ in "ab"]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1
    np.testing.assert_array_equal(load(found)[7], resized(found.files[7]))


def test_broken_images_are_all_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data", 30)
    data = found.files[3].read_bytes()
    found.files[3].write_bytes(data[: len(data) // 2])
    for file in found.files[5:]:
        file.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"(?s)26 of 30 image files cannot be used:.*3\.png.*and 6 more"
    ):
        load(found)


def test_vanished_image_is_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    found.files[2].unlink()
    with pytest.raises(DataError, match=r"2\.png`: the image is gone"):
        load(found)


def test_full_disk_is_told_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PplrError, match=r"decoded images.* 0\.0 MB are free"):
        load(found)
