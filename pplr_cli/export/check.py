"""Compare an exported file with torch on crops, before the file gets its name."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.errors import WeightsError
from pplr_cli.export.choice import Choice
from pplr_cli.export.encoder import expected, from_pixels
from pplr_cli.export.formats import load
from pplr_cli.retrieval.model import Model

Features = NDArray[np.float32]
TOLERANCE = 1e-3
"""Largest Euclidean distance (0 to 2) of a feature to torch's: a cosine of at least 0.9999995."""
HALF_TOLERANCE = 4.4e-2
"""The same for float16, whose rounding adds up over the layers: a cosine of at least 0.999."""


class Checked(NamedTuple):
    """How near the features of a file are to torch's."""

    distance: float  # largest Euclidean distance between the two features of a crop
    cosine: float  # smallest cosine between them
    speed: float  # crops per second on this CPU, in one batch


def check_file(file: Path, choice: Choice, model: Model, pixels: NDArray[np.uint8]) -> Checked:
    """Run a file on crops, uint8 [N, H, W, 3]: all at once, and the first alone.

    The network must be on the CPU.

    Raises:
        WeightsError: its features are too far from torch's.
    """
    run, images = load(file, choice, model), from_pixels(pixels, choice.input)
    wanted = expected(model.network, images, choice.input)
    one, start = run(images[:1]), time.perf_counter()
    found, seconds = run(images), time.perf_counter() - start
    near = compare([found, one], [wanted, wanted[:1]])
    require(near, f"the {choice.format} file", half=choice.half)
    return Checked(*near, len(images) / seconds)


def compare(found: list[Features], wanted: list[Features]) -> tuple[float, float]:
    """Return the largest distance and the smallest cosine between features [N, D] of length 1."""
    ours, torchs = np.concatenate(found), np.concatenate(wanted)
    distance = np.linalg.norm(ours - torchs, axis=1)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(torchs, axis=1)
    return float(distance.max()), float(((ours * torchs).sum(1) / lengths).min())


def require(near: tuple[float, float], what: str, *, half: bool) -> None:
    """Raise `WeightsError` unless the largest distance is within the tolerance."""
    limit = HALF_TOLERANCE if half else TOLERANCE
    if not near[0] <= limit:
        reason = "leave out --half" if half else "try other versions of the package and of torch"
        raise WeightsError(
            f"the features of {what} differ from torch's by {near[0]:.2g} (Euclidean distance; "
            f"at most {limit:g} is allowed): nothing was written",
            reason,
        )
