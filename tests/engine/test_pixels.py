"""Placing images on a device, and taking batches of them."""

import numpy as np
import pytest
import torch

from pplr_cli.engine import pixels
from pplr_cli.engine.pixels import place, take

CPU = torch.device("cpu")


def made_up(count: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 4, 3), dtype=np.uint8)


def test_on_a_cpu_the_images_stay_where_they_are() -> None:
    array = made_up()
    placed = place(array, CPU)
    assert placed.data_ptr() == array.ctypes.data


@pytest.mark.parametrize("rows", [[3, 0, 3], [], [9]])
def test_taken_images_are_those_of_the_rows(rows: list[int]) -> None:
    array = made_up()
    taken = take(place(array, CPU), torch.tensor(rows, dtype=torch.int64), CPU)
    np.testing.assert_array_equal(taken, array[rows])


def test_slices_are_taken_without_a_copy() -> None:
    array = made_up()
    taken = take(place(array, CPU), slice(2, 5), CPU)
    np.testing.assert_array_equal(taken, array[2:5])
    assert taken.data_ptr() == array[2:].ctypes.data


@pytest.mark.parametrize(("name", "size", "fits"), [
    ("cuda", 250, True), ("cuda", 251, False), ("cpu", 1, False),
])  # fmt: skip
def test_images_take_a_quarter_of_a_gpu_at_most(
    name: str, size: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 9999))
    assert pixels._fits(size, torch.device(name)) == fits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("share", [pixels.SHARE, 0])
def test_a_gpu_gets_the_same_images_without_waiting(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "SHARE", share)
    array, device = made_up(), torch.device("cuda", 0)
    placed = place(array, device)
    assert placed.device.type == ("cuda" if share else "cpu")
    rows = torch.tensor([4, 1, 4])
    torch.cuda.set_sync_debug_mode("error")
    try:
        taken, cut = take(placed, rows, device), take(placed, slice(3, 6), device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    np.testing.assert_array_equal(taken.cpu(), array[rows])
    np.testing.assert_array_equal(cut.cpu(), array[3:6])
