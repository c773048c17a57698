"""The retrieval feature as an ONNX model that takes images as they are decoded.

Input: uint8 [N, H, W, 3], RGB, resized. Scaling, normalisation and the L2 norm are part of the
graph, so that the only thing left to do is what Pillow does: `convert("RGB")` and a bicubic
`resize`.
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
"""Largest Euclidean distance (0 to 2) that the features of torch and of the file may have."""


class _Retrieval(nn.Module):
    """From uint8 images to unit features."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.embed(normalise(images))[0]


def require_packages() -> None:
    """Make sure that the packages of the extra `onnx` are there.

    Raises:
        PplrError: one of them cannot be imported; the hint has the command that installs it.
    """
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise PplrError(
                f"`import {name}` fails: {error}", "`pip install 'pplr[onnx]'` puts it in place"
            ) from error


def preprocessing(height: int, width: int) -> dict[str, Any]:
    """Return what has to be done with an image, and what the model does itself."""
    return {
        "input": INPUT,
        "shape": ["N", height, width, 3],
        "dtype": "uint8",
        "layout": "NHWC",
        "colour": "RGB",
        "height": height,
        "width": width,
        "resize": "bicubic (Pillow)",
        "mean": list(MEAN),
        "std": list(STD),
        "normalised": "inside the model",
    }


def build(network: Network, height: int, width: int, about: Mapping[str, Any]) -> bytes:
    """Return the ONNX model of a network's global feature; the batch size is free.

    Args:
        network: on the CPU, set to evaluation mode here.
        height: of the images in pixels.
        width: of the images in pixels.
        about: further entries of the file's metadata, by name; plain values.
    """
    model = _Retrieval(network).eval()
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # the exporter's notes on itself
        program = torch.onnx.export(
            model,
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
    for part in (
        proto.graph,
        *proto.graph.node,
        *proto.graph.input,
        *proto.graph.output,
        *proto.graph.value_info,
        *proto.graph.initializer,
    ):
        del part.metadata_props[:]  # stack traces, with the paths of this machine
    proto.producer_name, proto.producer_version = "pplr", __version__
    entries = {"preprocessing": preprocessing(height, width), "output": _output(network), **about}
    for key, value in entries.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=f"pplr.{key}", value=text)
    content: bytes = proto.SerializeToString()
    return content


def _output(network: Network) -> dict[str, Any]:
    return {
        "output": OUTPUT,
        "shape": ["N", network.feature_size],
        "dtype": "float32",
        "norm": 1,
        "compare": "Euclidean distance, 0 (alike) to 2",
    }


def largest_difference(content: bytes, network: Network, images: NDArray[np.uint8]) -> float:
    """Run an ONNX model and the network on images; return how far their features are apart.

    The model is run on all images at once and on the first alone: the batch size must be free.

    Args:
        content: of the model's file.
        network: on the CPU, in evaluation mode.
        images: uint8 [N, H, W, 3].

    Returns:
        the largest Euclidean distance of an image's two features.

    Raises:
        WeightsError: it is above `TOLERANCE`.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network.embed(normalise(torch.from_numpy(images)))[0].numpy()
    found = [session.run([OUTPUT], {INPUT: batch})[0] for batch in (images, images[:1])]
    apart = [np.linalg.norm(f - expected[: len(f)], axis=1).max() for f in found]
    largest = float(np.max(apart))
    if not largest <= TOLERANCE:
        raise WeightsError(
            f"the ONNX model's features differ from torch's by {largest:.2g} (Euclidean distance; "
            f"at most {TOLERANCE:g} is allowed): nothing was written",
            "another version of onnxruntime or torch may agree: `pip install -U 'pplr[onnx]'`",
        )
    return largest
