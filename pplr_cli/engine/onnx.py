"""Export the retrieval feature as an ONNX model for decoded images.

Input: uint8 [N, H, W, 3], RGB, resized. Scaling, normalisation and the L2 norm are part of the
graph; `STEPS` is the rest of what `Model.embed` does, for callers that have Pillow and NumPy.
"""

import io
import json
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pplr_cli import __version__
from pplr_cli.data.augment import MEAN, STD, normalise
from pplr_cli.engine.network import Network
from pplr_cli.errors import PplrError, WeightsError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18
INPUT, OUTPUT = "images", "features"
TOLERANCE = 1e-3
"""Largest Euclidean distance (0 to 2) allowed between the features of torch and of the file."""
STEPS = (
    "apply the EXIF orientation (Pillow: ImageOps.exif_transpose)",
    "scale 16-bit grey to 8 bits: divide by 257, round down",
    "convert to RGB (Pillow: convert('RGB')): repeat grey, look up palettes, drop alpha",
    "resize to width x height, without crop or padding (Pillow: resize, Resampling.BICUBIC)",
)
"""From a decoded image to the input of the model."""


class _Retrieval(nn.Module):
    """From uint8 images to unit features."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.embed(normalise(images), parts=False)[0]


def require_packages() -> None:
    """Check that the packages of the extra `onnx` can be imported.

    Raises:
        PplrError: one of them cannot; the hint has the command that installs it.
    """
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise PplrError(
                f"`import {name}` fails: {error}", "`pip install 'pplr[onnx]'`"
            ) from error


def preprocessing(height: int, width: int) -> dict[str, Any]:
    """Describe the input, and the preprocessing that the model does itself."""
    return {
        "input": INPUT,
        "shape": ["N", height, width, 3],
        "dtype": "uint8",
        "layout": "NHWC",
        "colour": "RGB",
        "height": height,
        "width": width,
        "resize": "bicubic (Pillow)",
        "steps": list(STEPS),
        "mean": list(MEAN),
        "std": list(STD),
        "normalised": "inside the model: (value / 255 - mean) / std",
    }


def build(network: Network, height: int, width: int, about: Mapping[str, Any]) -> bytes:
    """Return the ONNX model of a network's global feature, for any batch size.

    The network must be on the CPU and is set to evaluation mode; `about` is further metadata.
    """
    output = {
        "output": OUTPUT,
        "shape": ["N", network.feature_size],
        "dtype": "float32",
        "norm": 1,
        "compare": "Euclidean distance, 0 (alike) to 2",
    }
    proto = _exported(network, torch.zeros(2, height, width, 3, dtype=torch.uint8))
    proto.producer_name, proto.producer_version = "pplr", __version__
    entries = {"preprocessing": preprocessing(height, width), "output": output, **about}
    for key, value in entries.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=f"pplr.{key}", value=text)
    content: bytes = proto.SerializeToString()
    return content


def _exported(network: Network, example: Tensor) -> Any:
    """Return the model as a protocol buffer, without the exporter's messages and stack traces."""
    silent = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(silent), redirect_stderr(silent):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Retrieval(network).eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    lists = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in (graph, *(each for parts in lists for each in parts)):
        del part.metadata_props[:]  # stack traces contain the paths of this machine
    return proto


def largest_difference(content: bytes, network: Network, images: NDArray[np.uint8]) -> float:
    """Return the largest Euclidean distance between the ONNX model's features and the network's.

    Runs the model on all images, uint8 [N, H, W, 3], and on the first alone, because the batch
    size must be free. The network must be on the CPU, in evaluation mode.

    Raises:
        WeightsError: the distance is above `TOLERANCE`.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network.embed(normalise(torch.from_numpy(images)), parts=False)[0].numpy()
    found = [session.run([OUTPUT], {INPUT: batch})[0] for batch in (images, images[:1])]
    apart = [np.linalg.norm(f - expected[: len(f)], axis=1).max() for f in found]
    largest = float(np.max(apart))
    if not largest <= TOLERANCE:
        raise WeightsError(
            f"the ONNX model's features differ from torch's by {largest:.2g} (Euclidean distance; "
            f"at most {TOLERANCE:g} is allowed): nothing was written",
            "try other versions of onnxruntime and torch: `pip install -U 'pplr[onnx]'`",
        )
    return largest
