"""The initial weights of a training run: ImageNet, a local file, the included ones, or random."""

from pathlib import Path

from pplr_cli.config.fields import Model
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import imagenet
from pplr_cli.weights.loading import weights_in
from pplr_cli.weights.store import obtain

NAMED = ("random", "synthetic", "imagenet")
SYNTHETIC = Path(__file__).with_name("tiny_synthetic.pth")
"""Included weights of the `tiny` backbone (from scripts/pretrain_tiny.py)."""


def initial_weights(model: Model, reporter: Reporter) -> Path | None:
    """Return the file of `model.weights`, fetched if it is missing; None = random weights.

    Called before any image is read, so that a missing network is reported at once.

    Raises:
        WeightsError: the file is missing or cannot be fetched.
    """
    check_initial_weights(model)
    if model.weights == "random":
        return None
    if model.weights == "synthetic":
        return SYNTHETIC
    if model.weights == "imagenet":
        return obtain(imagenet(model.backbone), reporter)
    return Path(model.weights)


def check_initial_weights(model: Model) -> None:
    """Check that a file named in the settings exists; `WeightsError` if not."""
    path = Path(model.weights)
    if model.weights not in NAMED and not path.is_file():
        what = "a folder, not a weights file" if path.is_dir() else "no such file"
        hint = "give the path of a ResNet state dict, or one of imagenet, random"
        raise WeightsError(f"`model.weights` = `{path}`: {what}", weights_in(path) or hint)
