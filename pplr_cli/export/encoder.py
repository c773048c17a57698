"""The exported network: from images in one of the input forms to unit features."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pplr_cli.data.augment import MEAN, STD, normalise
from pplr_cli.engine.network import Network
from pplr_cli.export.choice import Input

INPUT, OUTPUT = "images", "features"
STEPS = (
    "apply the EXIF orientation (Pillow: ImageOps.exif_transpose)",
    "scale 16-bit grey to 8 bits: divide by 257, round down",
    "convert to RGB (Pillow: convert('RGB')): repeat grey, look up palettes, drop alpha",
    "resize to width x height, without crop or padding (Pillow: resize, Resampling.BICUBIC)",
)
"""From a decoded image to the pixels of the input."""
NORMALISED = {
    Input.UINT8: "inside the model: (value / 255 - mean) / std",
    Input.FLOAT: "before the model: (value / 255 - mean) / std",
    Input.UNIT: "before the model: value / 255; inside: (value - mean) / std",
}
"""Where the pixels are normalised."""


class Encoder(nn.Module):
    """Backbone, pooling, global neck and L2 norm of a network, without parts and classifiers.

    Args:
        network: the network, on the CPU; it is copied.
        form: what the images are.
        half: compute in float16; the input and the features keep their types.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, form: Input, *, half: bool = False) -> None:
        super().__init__()
        self.form, self.kind = form, torch.float16 if half else torch.float32
        self.base = deepcopy(network.base).to(self.kind)
        self.pooling = deepcopy(network.pooling).to(self.kind)
        self.bnneck = deepcopy(network.get_submodule("bnneck")).to(self.kind)
        # buffers, not constants: they follow the model to another device
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return features, float32 [B, D], of images in the encoder's form."""
        if self.form is Input.UINT8:
            images = images.permute(0, 3, 1, 2).float() / 255
        if self.form is not Input.FLOAT:
            images = (images - self.mean) / self.std
        feature: Tensor = self.bnneck(self.pooling(self.base.map(images.to(self.kind))))
        return F.normalize(feature.float())


def shape(form: Input, height: int, width: int) -> list[int]:
    """Return the shape of one image."""
    return [height, width, 3] if form is Input.UINT8 else [3, height, width]


def example(form: Input, height: int, width: int, count: int) -> Tensor:
    """Return `count` black images."""
    kind = torch.uint8 if form is Input.UINT8 else torch.float32
    return torch.zeros(count, *shape(form, height, width), dtype=kind)


def from_pixels(pixels: NDArray[np.uint8], form: Input) -> Tensor:
    """Return pixels, uint8 [N, H, W, 3], in the form of an input."""
    images = torch.from_numpy(pixels)
    if form is Input.UINT8:
        return images
    if form is Input.FLOAT:
        return normalise(images).contiguous()
    return images.permute(0, 3, 1, 2).contiguous().float() / 255


def expected(network: Network, images: Tensor, form: Input) -> NDArray[np.float32]:
    """Return the network's own features of images in the form of an input, float32 [N, D].

    The normalisation is that of training, not the exported one: an error in that one shows.
    """
    if form is Input.UNIT:
        images = (255 * images).permute(0, 2, 3, 1)
    if form is not Input.FLOAT:
        images = normalise(images)
    with torch.no_grad():
        found: NDArray[np.float32] = network.embed(images, parts=False)[0].numpy()
    return found


def preprocessing(
    form: Input,
    height: int,
    width: int,
    batch: int | None = None,
) -> dict[str, Any]:
    """Describe the input, and the preprocessing before and inside the model."""
    sides: Sequence[int] = shape(form, height, width)
    return {
        "input": INPUT,
        "shape": [batch or "N", *sides],
        "dtype": "uint8" if form is Input.UINT8 else "float32",
        "layout": "NHWC" if form is Input.UINT8 else "NCHW",
        "colour": "RGB",
        "height": height,
        "width": width,
        "resize": "bicubic (Pillow)",
        "steps": list(STEPS),
        "mean": list(MEAN),
        "std": list(STD),
        "normalised": NORMALISED[form],
    }
