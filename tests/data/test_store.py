"""Opening a split's images, and taking batches of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pplr_cli.config.fields import Data
from pplr_cli.data import store
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import ImageSet
from pplr_cli.data.store import ImageStore
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime


def made_up(count: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("cache", [True, False])
def test_an_opened_store_holds_the_decoded_images(tmp_path: Path, cache: bool) -> None:
    paths = tuple(f"{n}.png" for n in range(3))
    for path, pixels in zip(paths, made_up(3), strict=True):
        Image.fromarray(pixels).save(tmp_path / path)
    unknown = np.full(3, -1)
    images = ImageSet(tmp_path, paths, unknown, unknown)
    found = ImageStore.open(images, Data(name="x", height=5, width=7), Runtime(cache=cache))
    assert len(found) == 3
    assert isinstance(found.pixels, np.memmap) == cache
    expected = decode_images(images, 5, 7, Silent(), 1)
    np.testing.assert_array_equal(found.take(slice(None)), expected)


def test_on_a_cpu_the_images_are_not_copied() -> None:
    pixels = made_up()
    taken = ImageStore(pixels).take(slice(2, 5))
    np.testing.assert_array_equal(taken, pixels[2:5])
    assert taken.data_ptr() == pixels[2:].ctypes.data


@pytest.mark.parametrize("rows", [[3, 0, 3], [], [9]])
def test_taken_images_are_those_of_the_rows(rows: list[int]) -> None:
    pixels = made_up()
    taken = ImageStore(pixels).take(torch.tensor(rows, dtype=torch.int64))
    np.testing.assert_array_equal(taken, pixels[rows])


@pytest.mark.parametrize(("name", "size", "fits"), [
    ("cuda", 250, True), ("cuda", 251, False), ("cpu", 1, False),
])  # fmt: skip
def test_images_take_a_quarter_of_a_gpu_at_most(
    name: str, size: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 9999))
    assert store._fits(size, torch.device(name)) == fits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("share", [store.SHARE, 0])
def test_a_gpu_gets_the_same_images_without_waiting(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHARE", share)
    pixels = made_up()
    images = ImageStore(pixels, torch.device("cuda", 0))
    assert images._images.device.type == ("cuda" if share else "cpu")
    rows = torch.tensor([4, 1, 4])
    torch.cuda.set_sync_debug_mode("error")
    try:
        taken, cut = images.take(rows), images.take(slice(3, 6))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    np.testing.assert_array_equal(taken.cpu(), pixels[rows])
    np.testing.assert_array_equal(cut.cpu(), pixels[3:6])
