"""Run an exported file inside the program that it is for, with that program's preprocessing."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.errors import WeightsError
from pplr_cli.export.check import compare, require
from pplr_cli.export.choice import Choice, Target
from pplr_cli.export.encoder import expected
from pplr_cli.retrieval.model import Model

Frame = NDArray[np.uint8]
"""A crop as a video frame: uint8 [H, W, 3], BGR."""
Passed = tuple[list[Tensor], list[NDArray[np.float32]]]
"""What the program passed to the model, [N, 3, H, W], and the features that it returned."""


class Fits(NamedTuple):
    """How near the features inside a program are to ours."""

    program: str  # its name and version
    cosine: float  # smallest cosine to torch's features of the images that the program prepared
    # smallest cosine to the features of `pplr`, which resizes with Pillow (bicubic)
    own_cosine: float


def check_inside(file: Path, choice: Choice, model: Model, crops: Sequence[Frame]) -> Fits | None:
    """Run a file in its target on RGB crops of any size; None if the target is not installed.

    Raises:
        WeightsError: the target cannot run it, or its features are too far from torch's.
    """
    assert choice.target is not None
    name = choice.target.value
    with _silence():
        try:
            import_module(name)
        except Exception:  # absent, or one of its own requirements is
            return None
        program = f"{name} {metadata.version(name)}"
        try:
            inputs, features = RUNS[choice.target](file, model, [each[..., ::-1] for each in crops])
        except Exception as error:  # of its own, or another version of its interface
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(
                f"{program} cannot run the file: {reason}: nothing was written",
                f"try another version of {name}, or leave out --for: `--format {choice.format}` "
                f"with `--input {choice.input}`",
            ) from error
    found = [_unit(each) for each in features]
    given = [batch[: len(each)] for batch, each in zip(inputs, features, strict=True)]
    near = compare(found, [expected(model.network, each, choice.input) for each in given])
    require(near, f"the {choice.format} file in {name}", half=choice.half)
    own = compare(found, [model.embed(list(crops))])
    return Fits(program, near[1], own[1])


def _run_reid(file: Path, model: Model, frames: Sequence[Frame]) -> Passed:
    """Wrap the network as the backbone of `ReIDModel`."""
    import supervision
    from reid import ReIDModel, ReIDPreprocessing

    data, network = model.config.data, Model.load(file, model.runtime)
    steps = ReIDPreprocessing(input_size=(data.height, data.width), interpolation="bicubic")
    wrapped = ReIDModel(network, torch.device("cpu"), steps)
    with _inputs(network) as inputs:
        features = [
            wrapped.extract_embeddings(
                supervision.Detections(xyxy=np.array([[0, 0, *frame.shape[1::-1]]], np.float32)),
                frame,
            )
            for frame in frames
        ]
    return inputs, features


def _run_boxmot(file: Path, _: Model, frames: Sequence[Frame]) -> Passed:
    from boxmot.reid.backends.onnx_backend import ONNXBackend
    from boxmot.reid.core.runtime import ReID

    class Backend(ONNXBackend):  # type: ignore[misc]
        def _ensure_onnxruntime_installed(self) -> None:
            """Use the onnxruntime that is there: boxmot would install another version."""

    runtime = ReID.from_backend(Backend(file, torch.device("cpu"), False))
    inputs = [runtime.preprocess(list(frames))["batch"]]
    return inputs, [runtime(list(frames))]


def _run_ultralytics(file: Path, _: Model, frames: Sequence[Frame]) -> Passed:
    from ultralytics.trackers.utils.reid import build_encoder

    encoder = build_encoder(True, str(file), "cpu")
    with _inputs(encoder.model) as inputs:
        features = [
            np.stack(encoder(np.ascontiguousarray(frame), np.array([[w / 2, h / 2, w, h]])))
            for frame, (h, w) in ((frame, frame.shape[:2]) for frame in frames)
        ]
    return inputs, features


RUNS: dict[Target, Callable[[Path, Model, Sequence[Frame]], Passed]] = {
    Target.REID: _run_reid,
    Target.BOXMOT: _run_boxmot,
    Target.ULTRALYTICS: _run_ultralytics,
}


@contextmanager
def _inputs(module: torch.nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that collects what is passed to a module."""
    passed: list[Tensor] = []

    def keep(_: torch.nn.Module, given: tuple[Any, ...]) -> None:
        passed.append(given[0].detach().clone())

    hook = module.register_forward_pre_hook(keep)
    try:
        yield passed
    finally:
        hook.remove()


@contextmanager
def _silence() -> Iterator[None]:
    """Drop the messages and warnings of other programs."""
    silent = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(silent), redirect_stderr(silent):
        warnings.simplefilter("ignore")
        yield


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = features / np.linalg.norm(features, axis=1, keepdims=True)
    return found
