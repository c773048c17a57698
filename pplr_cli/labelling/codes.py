"""Features as 8-bit integers, with a bound of what rounding changes.

A feature x, less the mean of all, is s q + e with integers q from -127 to 127. The product <x, y>
differs from s^2 <q, p> by at most X (|e_x| + |e_y|), where X is the largest norm of an x or an s q
(Cauchy-Schwarz).
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEVER = 1 << 30
"""Bound of padding: no product reaches it."""
MOST_DIMENSIONS = 1 << 14
"""Products of codes of this length stay below a quarter of `NEVER`."""
RUN = 64
"""Products compared at a time in vector registers; codes are padded to a multiple."""
SHARES = tuple(0.85**step for step in range(12))
"""Shares of the largest value that may be the largest code's value; beyond it values are cut."""
SAMPLE = 4096
"""Images that choose among them."""
BLOCK = 65_536
"""Images encoded at a time."""


class Codes(NamedTuple):
    """Features as 8-bit integers, padded with images that are near to none."""

    values: Tensor  # int8 [M, D], M the next multiple of RUN
    # int32 [M]; pairs up to a squared distance d have products of codes of at least the sum of
    # both bounds - d * unit
    bounds: NDArray[np.int32]
    unit: float


def padded(count: int) -> int:
    """Return the next multiple of `RUN`."""
    return RUN * -(-count // RUN)


def encode(features: Tensor, squares: Tensor) -> Codes:
    """Return the codes of features float32 [N, D] with squared norms, or other numbers, [N].

    The mean is subtracted: that changes no distance, and shortens features with much in common.
    """
    n, size = features.shape
    centre, blocks = features.mean(0), range(0, n, BLOCK)
    offsets = squares.double() - 2 * (features @ centre).double() + centre.double().square().sum()
    norm, longest = (
        max(_longest(features[start : start + BLOCK] - each) for start in blocks)
        for each in (0 * centre, centre)
    )
    tiny = torch.finfo(torch.float32).tiny
    rounding = (max(norm**2, squares.abs().max().item()) * 2.0**-22 + tiny) * (size + 8)
    # each summand of a bound is at most half of NEVER
    least = (max(offsets.abs().max().item(), longest**2, rounding) / (NEVER / 2)) ** 0.5
    scale = max(_scale(features[:: max(1, n // SAMPLE)] - centre), least)
    values, errors = torch.zeros((padded(n), size), dtype=torch.int8), torch.empty(n)
    for start in blocks:
        shifted = features[start : start + BLOCK] - centre
        codes = _quantised(shifted, scale)
        values[start : start + len(codes)] = codes
        errors[start : start + BLOCK] = (shifted - scale * codes).norm(dim=1)
        longest = max(longest, scale * _longest(codes))
    unit = 1 / (2 * scale**2)
    bounds = np.full(len(values), NEVER, np.int32)
    bounds[:n] = ((offsets - 2 * longest * errors.double() - rounding) * unit).floor().numpy()
    return Codes(values, bounds, unit)


def _longest(vectors: Tensor) -> float:
    return float(vectors.norm(dim=1).max())


def _scale(sample: Tensor) -> float:
    """Return the scale of the codes, of the least mean error of a sample among `SHARES`."""
    largest = max(sample.abs().max().item(), 1e-30)
    scales = [largest * share / 127 for share in SHARES]
    errors = [(sample - s * _quantised(sample, s)).norm(dim=1).mean().item() for s in scales]
    return scales[int(np.argmin(errors))]


def _quantised(features: Tensor, scale: float) -> Tensor:
    return (features / scale).round_().clamp_(-127, 127)
