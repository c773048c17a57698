"""The batched transforms against one image at a time, written from the definition."""

import random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
@settings(max_examples=20, deadline=None)
def test_batched_equals_one_by_one(height: int, width: int, seed: int) -> None:
    images = pixels(6, height, width)
    choices = draw_choices(6, height, width, seed=seed, epoch=1, step=2)
    expected = torch.stack([one_by_one(image, choices, i) for i, image in enumerate(images)])
    torch.testing.assert_close(augment(images, choices), expected, rtol=0, atol=1e-6)


def test_normalise_is_the_test_transform() -> None:
    images = pixels(2, 5, 4)
    expected = functional.normalize(images.permute(0, 3, 1, 2) / 255, list(MEAN), list(STD))
    torch.testing.assert_close(normalise(images), expected)


def test_choices_depend_on_seed_epoch_and_step_alone() -> None:
    def draw(**key: int) -> list[list[int]]:
        return draw_choices(8, 64, 32, **({"seed": 1, "epoch": 2, "step": 3} | key)).erase.tolist()

    assert draw() == draw()
    assert all(draw() != draw(**{name: 9}) for name in ("seed", "epoch", "step"))


def slow_box(height: int, width: int, rng: random.Random) -> tuple[int, int]:
    """Return height and width of an erased box by the definition; (0, 0) = none."""
    if rng.uniform(0, 1) >= 0.5:
        return 0, 0
    for _ in range(100):
        area = rng.uniform(0.02, 0.4) * height * width
        aspect = rng.uniform(0.3, 1 / 0.3)
        h, w = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if h < height and w < width:
            return h, w
    return 0, 0


def test_distributions_are_those_of_the_definition() -> None:
    count, height, width = 20_000, 96, 32
    choices = draw_choices(count, height, width, seed=0, epoch=0, step=0)
    rng = random.Random(0)
    slow = np.array([slow_box(height, width, rng) for _ in range(count)])
    boxes = choices.erase
    assert abs(choices.flip.mean() - 0.5) < 0.015
    for offsets in (choices.top, choices.left):
        counts = np.bincount(offsets, minlength=21)
        assert len(counts) == 21
        assert np.abs(counts / count - 1 / 21).max() < 0.01
    assert abs((boxes[:, 2] > 0).mean() - (slow[:, 0] > 0).mean()) < 0.015
    erased, expected = boxes[boxes[:, 2] > 0], slow[slow[:, 0] > 0]
    for column, size in ((2, height), (3, width)):
        grid = np.linspace(0.1, 0.9, 9)
        ours = np.quantile(erased[:, column], grid)
        theirs = np.quantile(expected[:, column - 2], grid)
        assert np.abs(ours - theirs).max() <= 0.02 * size + 1
    assert (boxes[:, 0] + boxes[:, 2] <= height).all()
    assert (boxes[:, 1] + boxes[:, 3] <= width).all()
    free = height - erased[:, 2]
    assert abs((erased[:, 0] / free).mean() - 0.5) < 0.02


def test_where_no_box_fits_nothing_is_erased() -> None:
    choices = draw_choices(50, 1, 1, seed=0, epoch=0, step=0)
    assert (choices.erase[:, 2] == 0).all()
