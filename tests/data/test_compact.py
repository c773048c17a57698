"""Packed files against decoded images: the same bits, checks and repairs."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pplr_cli.config.fields import Data
from pplr_cli.data import compact, store
from pplr_cli.data.cache import decode_images
from pplr_cli.data.compact import CompactImages, pack_images
from pplr_cli.data.images import ImageSet
from pplr_cli.data.store import ImageStore, cache_kind
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime

SIZE = (16, 8)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    rng, folder = np.random.default_rng(0), tmp_path / "data"
    folder.mkdir()
    paths = tuple(f"{n}.{'png' if n % 3 else 'jpg'}" for n in range(10))
    for path in paths:
        pixels = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert("L" if path[0] == "5" else "RGB").save(folder / path)
    return ImageSet(folder, paths, np.full(10, -1), np.arange(10) % 2)


def opened(images: ImageSet) -> CompactImages:
    return pack_images(images, *SIZE, Silent(), 2)


@pytest.mark.parametrize("block", [3, 256])
def test_taken_images_have_the_bits_of_decoded_ones(
    images: ImageSet, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "BLOCK", block)
    expected, found = decode_images(images, *SIZE, Silent(), 1), opened(images)
    assert found.shape == expected.shape
    assert len(found) == 10
    for rows in (slice(None), slice(2, 5), slice(8, 99), np.array([3, 0, 3]), np.array([], int)):
        np.testing.assert_array_equal(found[rows], expected[rows])
    np.testing.assert_array_equal(found[4], expected[4])
    np.testing.assert_array_equal(found[np.int64(9)], expected[9])
    decoded, packed = ImageStore(expected), ImageStore(found)
    assert packed.digest(images.cameras) == decoded.digest(images.cameras)


def test_the_digest_is_that_of_earlier_states(images: ImageSet) -> None:
    expected = decode_images(images, *SIZE, Silent(), 1)
    digest = hashlib.sha256(expected.tobytes() + images.cameras.tobytes()).hexdigest()
    assert ImageStore(expected).digest(images.cameras) == digest


def test_images_decoded_ahead_are_those_that_are_taken(images: ImageSet) -> None:
    expected, packed = decode_images(images, *SIZE, Silent(), 1), ImageStore(opened(images))
    rows = torch.tensor([7, 1])
    packed.take(slice(0, 4), rows)
    np.testing.assert_array_equal(packed.take(rows, slice(3, 6)), expected[[7, 1]])
    np.testing.assert_array_equal(packed.take(slice(2, 4)), expected[2:4])  # other rows
    np.testing.assert_array_equal(packed.take(slice(3, 6)), expected[3:6])


def test_the_second_use_packs_nothing_and_a_changed_image_all(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(images)
    with monkeypatch.context() as patch:
        patch.setattr(compact, "_write", lambda *_: pytest.fail("packed again"))
        opened(images)
    Image.new("RGB", (20, 30)).save(images.files[2])
    assert not opened(images)[2].any()


@pytest.mark.parametrize("place", [5, -1, -60, -200])
def test_a_damaged_pack_is_written_again(images: ImageSet, tmp_path: Path, place: int) -> None:
    expected = opened(images)[:]
    (pack,) = (tmp_path / "cache" / "images").glob("*.pack")
    damaged = bytearray(pack.read_bytes())
    damaged[place] ^= 1
    pack.write_bytes(damaged)
    again = opened(images)
    np.testing.assert_array_equal(again[:], expected)
    assert again.digest == ImageStore(expected).digest(images.cameras)
    pack.write_bytes(pack.read_bytes()[:40])
    np.testing.assert_array_equal(opened(images)[:], expected)


def test_all_broken_images_are_named(images: ImageSet, tmp_path: Path) -> None:
    for number in (2, 6):
        images.files[number].write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"2 of 10 .*\n.*2\.png: .*\n.*6\.jpg: "):
        opened(images)
    assert not list((tmp_path / "cache" / "images").iterdir())


@pytest.mark.parametrize("kind", ["pixels", "compact", "none"])
def test_the_setting_chooses_the_cache(images: ImageSet, kind: str) -> None:
    data = Data(name="x", height=16, width=8, cache=kind)
    pixels = ImageStore.open(images, data, Runtime(workers=2)).pixels
    types = {"pixels": np.memmap, "compact": CompactImages, "none": np.ndarray}
    assert type(pixels) is types[kind]
    assert type(ImageStore.open(images, data, Runtime(cache=False)).pixels) is np.ndarray


def test_auto_depends_on_the_space(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data(name="x", height=16, width=8, cache="auto")
    needed = 10 * 16 * 8 * 3
    usage = {"free": 2 * needed}
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: type("Usage", (), usage))
    assert cache_kind(10, data) == "pixels"
    assert cache_kind(11, data) == "compact"
    ImageStore.open(images, data, Runtime())
    usage["free"] -= needed  # the cache itself does not count
    assert cache_kind(10, data) == "pixels"
