"""The initial weights of a training run: published, a local file, the included ones, or random."""

from difflib import get_close_matches
from pathlib import Path

from pplr_cli.config.fields import Model
from pplr_cli.config.starts import RISK, STARTS, starts_of
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import StartFile, start_file
from pplr_cli.weights.loading import weights_in
from pplr_cli.weights.store import obtain

_SCORE = "`pplr evaluate --weights FILE` scores a start before training"
SYNTHETIC = Path(__file__).with_name("tiny_synthetic.pth")
"""Included weights of the `tiny` backbone (from scripts/pretrain_tiny.py)."""


def to_download(model: Model) -> StartFile | None:
    """Return the published weights that `initial_weights` downloads; None if it downloads none."""
    if model.weights not in STARTS:
        return None
    entry = start_file(model.weights, model.backbone)
    return entry if entry.start.direct and not entry.target.is_file() else None


def initial_weights(model: Model, reporter: Reporter, *, fetch: bool = True) -> Path | None:
    """Return the file of `model.weights`, fetched if it is missing; None = random weights.

    Called before any image is read, so that a missing network is reported at once. Without
    `fetch`, the result is None too for weights that would be downloaded.

    Raises:
        WeightsError: the file is missing or cannot be fetched.
    """
    check_initial_weights(model)
    if model.weights == "random":
        return None
    if model.weights == "synthetic":
        return SYNTHETIC
    if model.weights not in STARTS:
        reporter.info(f"{RISK}; {_SCORE}")
        return Path(model.weights)
    path = None
    if fetch or to_download(model) is None:
        path = obtain(start_file(model.weights, model.backbone), reporter)
    if model.weights != "imagenet":
        effect = STARTS[model.weights].effect
        reporter.warn(f"`model.weights` = `{model.weights}`: {effect}", f"{RISK}; {_SCORE}")
    return path


def check_initial_weights(model: Model) -> None:
    """Check that a file named in the settings exists; `WeightsError` if not."""
    path = Path(model.weights)
    if model.weights not in ("random", "synthetic", *STARTS) and not path.is_file():
        what = "a folder, not a weights file" if path.is_dir() else "no such file"
        starts = starts_of(model.backbone)
        hint = f"give the path of a state dict, or one of {', '.join(starts)}"
        if near := get_close_matches(model.weights, starts, n=1):
            hint = f"did you mean `{near[0]}`? Else {hint}"
        raise WeightsError(f"`model.weights` = `{path}`: {what}", weights_in(path) or hint)
