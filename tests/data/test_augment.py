"""The batched transforms against one image at a time, written from the definition."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import transforms
from torchvision.transforms import functional

from pplr_cli.data import augment as module
from pplr_cli.data.augment import MEAN, STD, augment, draw_choices, normalise


def pixels(count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), generator=generator).byte()


def one_by_one(image: torch.Tensor, choices: module.Choices, i: int) -> torch.Tensor:
    picture = transforms.ToPILImage()(image.permute(2, 0, 1))
    height, width = image.shape[:2]
    if choices.flip[i]:
        picture = functional.hflip(picture)
    padded = functional.pad(picture, [10])
    picture = functional.crop(padded, int(choices.top[i]), int(choices.left[i]), height, width)
    tensor = functional.normalize(functional.to_tensor(picture), list(MEAN), list(STD))
    top, left, h, w = choices.erase[i]
    tensor[:, top : top + h, left : left + w] = torch.tensor(MEAN)[:, None, None]
    return tensor


@given(height=st.integers(12, 40), width=st.integers(12, 40), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_batched_equals_one_by_one(height: int, width: int, seed: int) -> None:
    images = pixels(6, height, width)
    choices = draw_choices(6, height, width, seed=seed, epoch=1, step=2)
    expected = torch.stack([one_by_one(image, choices, i) for i, image in enumerate(images)])
    torch.testing.assert_close(augment(images, choices), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(30, 20), (12, 40)])
def test_both_ways_give_the_same_bits(height: int, width: int) -> None:
    images = pixels(16, height, width)
    choices = draw_choices(16, height, width, seed=3, epoch=1, step=2)
    found, expected = (
        way(images, choices) for way in (module.augment_at_once, module.augment_in_turn)
    )
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_batch_at_once_takes_a_fixed_number_of_operations() -> None:
    """A kernel each on a GPU: none of them for one image alone."""

    class Counter(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += not function.is_view
            return function(*args, **(kwargs or {}))

    counts = []
    for batch in (4, 64):
        choices = draw_choices(batch, 30, 20, seed=0, epoch=0, step=0)
        with Counter() as counter:
            module.augment_at_once(pixels(batch, 30, 20), choices)
        counts.append(counter.count)
    assert counts[0] == counts[1] < 60


def test_normalise_is_the_test_transform() -> None:
    images = pixels(2, 5, 4)
    expected = functional.normalize(images.permute(0, 3, 1, 2) / 255, list(MEAN), list(STD))
    torch.testing.assert_close(normalise(images), expected)


def test_tracing_leaves_nothing_behind() -> None:
    """As an export does, which may be the first in a process to normalise images."""
    images = pixels(2, 5, 7)
    with FakeTensorMode() as mode:
        normalise(mode.from_tensor(images))
    assert type(normalise(images)) is torch.Tensor


def test_choices_depend_on_seed_epoch_and_step_alone() -> None:
    def draw(**key: int) -> list[list[int]]:
        return draw_choices(8, 64, 32, **({"seed": 1, "epoch": 2, "step": 3} | key)).erase.tolist()

    assert draw() == draw()
    assert all(draw() != draw(**{name: 9}) for name in ("seed", "epoch", "step"))


def slow_choice(height: int, width: int, rng: random.Random) -> tuple[float, ...]:
    """Return an image's flip, top, left and erased box (height 0 = none), by the definition."""
    flip, top, left = rng.random() < 0.5, rng.randint(0, 20), rng.randint(0, 20)
    if rng.uniform(0, 1) < 0.5:
        for _ in range(100):
            area = rng.uniform(0.02, 0.4) * height * width
            aspect = rng.uniform(0.3, 1 / 0.3)
            h, w = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if h < height and w < width:
                box = rng.randint(0, height - h), rng.randint(0, width - w), h, w
                return flip, top, left, *box
    return flip, top, left, 0, 0, 0, 0


def described(choices: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    """Return the variables whose distributions the definition fixes; boxes where there is one."""
    flip, top, left, *_ = choices.T
    box_top, box_left, h, w = choices[choices[:, 5] > 0][:, 3:].T
    return {
        "flip": flip, "crop rows": top, "crop columns": left, "erased": choices[:, 5] > 0,
        "area": h * w / (height * width), "aspect": h / w, "height": h, "width": w,
        "box top": box_top / (height - h), "box left": box_left / (width - w),
    }  # fmt: skip


@pytest.mark.parametrize(("height", "width"), [(384, 128), (256, 256), (40, 24)])
def test_distributions_are_those_of_the_definition(height: int, width: int) -> None:
    batches = [draw_choices(64, height, width, seed=0, epoch=0, step=s) for s in range(150)]
    drawn = [np.column_stack((c.flip, c.top, c.left, c.erase)) for c in batches]
    rng = random.Random(0)
    slow = np.array([slow_choice(height, width, rng) for _ in range(10_000)], float)
    ours = np.concatenate(drawn).astype(float)
    expected = described(slow, height, width)
    for name, values in described(ours, height, width).items():
        assert stats.ks_2samp(values, expected[name]).pvalue > 1e-4, name


def test_choices_of_an_image_know_nothing_of_each_other() -> None:
    choices = draw_choices(10_000, 384, 128, seed=3, epoch=0, step=0)
    erased = choices.erase[:, 2] > 0
    drawn = np.column_stack((choices.flip, choices.top, choices.left, erased)).astype(float)
    both = np.hstack((drawn, np.roll(drawn, 1, axis=0)))  # nor of the image before
    assert np.abs(np.corrcoef(both.T) - np.eye(8)).max() < 0.05


@pytest.mark.parametrize("rows", [slice(0, 8), slice(2, 5), slice(5, 8)])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(rows: slice) -> None:
    images = pixels(8, 30, 20)
    choices = draw_choices(8, 30, 20, seed=5, epoch=1, step=2)
    torch.testing.assert_close(
        augment(images[rows], choices[rows]), augment(images, choices)[rows], rtol=0, atol=0
    )


def test_images_are_left_as_they_were_and_come_out_channels_last() -> None:
    images = pixels(6, 30, 20)
    before = images.clone()
    choices = draw_choices(6, 30, 20, seed=0, epoch=0, step=0)
    assert choices.flip.any()
    for changed in (augment(images, choices), normalise(images)):
        assert changed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_makes_the_same_images_without_waiting() -> None:
    images = pixels(16, 96, 32)
    choices = draw_choices(16, 96, 32, seed=0, epoch=0, step=0)
    there = images.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augment(there, choices)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(found.cpu(), augment(images, choices), rtol=0, atol=1e-6)


def test_where_no_box_fits_nothing_is_erased() -> None:
    choices = draw_choices(50, 1, 1, seed=0, epoch=0, step=0)
    assert (choices.erase[:, 2] == 0).all()
