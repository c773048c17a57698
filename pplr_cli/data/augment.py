"""The training and test transforms on whole batches, each image with its own random choices.

Images come resized (`store.py`); flip, pad and crop, normalisation and random erasing happen on the
device that trains. The choices depend on (seed, epoch, step) and the place in the batch alone. The
pixels are moved as bytes and become floats last. Nothing here waits for a GPU.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SCALE = tuple(1 / (255 * std) for std in STD)
SHIFT = tuple(-mean / std for mean, std in zip(MEAN, STD, strict=True))
PADDING = 10
FLIP_PROBABILITY = 0.5
ERASE_PROBABILITY = 0.5
ERASE_AREA = (0.02, 0.4)
ERASE_ASPECT = (0.3, 1 / 0.3)
ERASE_TRIES = 100
AUGMENTATION = 2
"""First word of the key of the random numbers, so that `sampler` draws others."""


@dataclass(frozen=True)
class Choices:
    """The random choices for B images."""

    flip: NDArray[np.bool_]  # [B], mirrored left to right
    top: NDArray[np.int64]  # [B], rows of the padded image above the crop, 0..20
    left: NDArray[np.int64]  # [B], columns left of the crop, 0..20
    erase: NDArray[np.int64]  # [B, 4], top, left, height, width of the erased box; height 0 = none

    def __getitem__(self, rows: slice) -> "Choices":
        """Return the choices of some images: what a process needs that holds only these."""
        return Choices(self.flip[rows], self.top[rows], self.left[rows], self.erase[rows])


def draw_choices(
    count: int, height: int, width: int, *, seed: int, epoch: int, step: int
) -> Choices:
    """Draw the choices for the `count` images of a batch."""
    rng = np.random.default_rng([AUGMENTATION, seed, epoch, step])
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
    """Return the training transform of uint8 [B, H, W, 3] as float32 [B, 3, H, W], channels last.

    Flip, pad 10 black pixels, crop back to H x W, normalise, erase. A GPU gets a fixed number of
    kernels for a batch, a CPU one image after the other, which stays in its cache: the same bits.
    """
    return augment_at_once(images, choices) if images.is_cuda else augment_in_turn(images, choices)


def augment_in_turn(images: Tensor, choices: Choices) -> Tensor:
    """Transform as `augment`, image by image."""
    _, height, width, _ = images.shape
    padded = F.pad(images, (0, 0, PADDING, PADDING, PADDING, PADDING))
    places = zip(choices.flip.tolist(), choices.top.tolist(), choices.left.tolist(), strict=True)
    cropped = [
        (image.flip(1) if flip else image)[top : top + height, left : left + width]
        for image, (flip, top, left) in zip(padded, places, strict=True)
    ]
    normal = normalise(torch.stack(cropped))
    colour = _row(MEAN, 1, images.device)
    # boxes are a tenth of the pixels: a mask would touch all
    for image, box in zip(normal.permute(0, 2, 3, 1), choices.erase.tolist(), strict=True):
        top, left, rows, columns = box
        image[top : top + rows, left : left + columns] = colour
    return normal


def augment_at_once(images: Tensor, choices: Choices) -> Tensor:
    """Transform as `augment`, every step for all images: the pixels are gathered by their place."""
    _, height, width, _ = images.shape
    device = images.device
    numbers = np.column_stack((choices.flip, choices.top, choices.left, choices.erase))
    # few enough that the driver takes them without a wait
    choice = torch.from_numpy(numbers.astype(np.int64)).to(device, non_blocking=True)
    flip, top, left, *box = choice.T[:, :, None]
    row, column = (torch.arange(size, device=device) for size in (height, width))
    own_row, own_column = top - PADDING + row, left - PADDING + column
    own_column = torch.where(flip > 0, width - 1 - own_column, own_column)
    black = _outside(own_row, 0, height)[:, :, None] | _outside(own_column, 0, width)[:, None]
    place = own_row.clamp_(0, height - 1)[:, :, None] * width
    place = place + own_column.clamp_(0, width - 1)[:, None]
    pixels = images.flatten(1, 2).gather(1, place.flatten(1)[:, :, None].expand(-1, -1, 3))
    pixels = pixels.view(images.shape).masked_fill_(black[..., None], 0)
    normal = normalise(pixels).permute(0, 2, 3, 1)
    kept = _outside(row, box[0], box[2])[:, :, None] | _outside(column, box[1], box[3])[:, None]
    normal = torch.where(kept[..., None], normal, _row(MEAN, 1, device))
    return normal.permute(0, 3, 1, 2)


def _outside(places: Tensor, start: Tensor | int, size: Tensor | int) -> Tensor:
    """Return which places are not among the `size` ones from `start` on."""
    return (places < start) | (places >= start + size)


def normalise(images: Tensor) -> Tensor:
    """Return uint8 [B, H, W, 3] in ImageNet's scale as float32 [B, 3, H, W], channels last."""
    width = images.shape[2]
    values = images.flatten(2).float()
    scale, shift = (_row(colour, width, images.device) for colour in (SCALE, SHIFT))
    torch.addcmul(shift, values, scale, out=values)
    return values.view(images.shape).permute(0, 3, 1, 2)


def _row(colour: tuple[float, ...], width: int, device: torch.device) -> Tensor:
    """Return a row of pixels of one colour, [3 W], filled on the device: a copy would wait."""
    return torch.stack([torch.full((), value, device=device) for value in colour]).repeat(width)
