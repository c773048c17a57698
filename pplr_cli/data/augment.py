"""The training and test transforms on whole batches, each image with its own random choices.

Images come resized (`images.py`); flip, pad and crop, normalisation and random erasing happen on
the device that trains. The choices depend on (seed, epoch, step) alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data import seeds

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PADDING = 10
FLIP_PROBABILITY = 0.5
ERASE_PROBABILITY = 0.5
ERASE_AREA = (0.02, 0.4)
ERASE_ASPECT = (0.3, 1 / 0.3)
ERASE_TRIES = 100


@dataclass(frozen=True)
class Choices:
    """The random choices for B images.

    Attributes:
        flip: bool [B], mirrored left to right.
        top: int64 [B], rows of the padded image above the crop, 0..20.
        left: int64 [B], columns left of the crop, 0..20.
        erase: int64 [B, 4], top, left, height, width of the erased box; height 0 = none.
    """

    flip: NDArray[np.bool_]
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    erase: NDArray[np.int64]

    def __getitem__(self, rows: slice) -> "Choices":
        """Return the choices for some of the images."""
        return Choices(self.flip[rows], self.top[rows], self.left[rows], self.erase[rows])


def draw_choices(
    count: int, height: int, width: int, *, seed: int, epoch: int, step: int
) -> Choices:
    """Draw the choices for the `count` images of a batch."""
    rng = seeds.generator(seeds.AUGMENTATION, seed, epoch, step)
    return Choices(
        flip=rng.random(count) < FLIP_PROBABILITY,
        top=rng.integers(0, 2 * PADDING + 1, count),
        left=rng.integers(0, 2 * PADDING + 1, count),
        erase=_draw_boxes(count, height, width, rng),
    )


def _draw_boxes(count: int, height: int, width: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw up to 100 boxes for each image and keep the first that is smaller than the image."""
    tries = (count, ERASE_TRIES)
    area = rng.uniform(*ERASE_AREA, tries) * height * width
    aspect = rng.uniform(*ERASE_ASPECT, tries)
    heights = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    widths = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (heights < height) & (widths < width)
    rows, first = np.arange(count), fits.argmax(1)
    h, w = heights[rows, first], widths[rows, first]
    erased = (rng.random(count) < ERASE_PROBABILITY) & fits.any(1)
    h, w = np.where(erased, h, 0), np.where(erased, w, 0)
    return np.stack([rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w], 1)


def augment(images: Tensor, choices: Choices) -> Tensor:
    """Return the training transform of uint8 [B, H, W, 3] as float32 [B, 3, H, W].

    Flip, pad 10 black pixels, crop back to H x W, normalise, erase.
    """
    count, height, width, _ = images.shape
    device = images.device
    flip, top, left = (
        torch.from_numpy(values).to(device) for values in (choices.flip, choices.top, choices.left)
    )
    rows = torch.arange(height, device=device) + top[:, None] - PADDING
    columns = torch.arange(width, device=device) + left[:, None] - PADDING
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None]
    columns = torch.where(flip[:, None], width - 1 - columns, columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    batch = torch.arange(count, device=device)[:, None, None]
    cropped = images[batch, rows[:, :, None], columns[:, None]] * inside[..., None]
    return _erase(normalise(cropped), torch.from_numpy(choices.erase).to(device))


def normalise(images: Tensor) -> Tensor:
    """Return uint8 [B, H, W, 3] as float32 [B, 3, H, W] with ImageNet's mean and deviation."""
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def _within(positions: Tensor, size: int) -> Tensor:
    return (positions >= 0) & (positions < size)


def _erase(images: Tensor, boxes: Tensor) -> Tensor:
    """Fill each image's box with the mean colour; after normalisation, as the official code."""
    top, left, height, width = (values[:, None] for values in boxes.unbind(1))
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    in_rows = (rows >= top) & (rows < top + height)
    in_columns = (columns >= left) & (columns < left + width)
    box = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return torch.where(box, torch.tensor(MEAN, device=images.device)[:, None, None], images)
