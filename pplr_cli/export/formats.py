"""The formats: how a file is built, and how the library of the format loads and runs it."""

import io
import json
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.errors import missing_package
from pplr_cli.export import onnx
from pplr_cli.export.choice import Choice, Format
from pplr_cli.export.encoder import OUTPUT, Encoder, example, preprocessing
from pplr_cli.retrieval.model import Model
from pplr_cli.weights.loading import METADATA

Run = Callable[[Tensor], NDArray[np.float32]]
"""From images in the form of the input to features [N, D]."""
PACKAGES = {
    Format.ONNX: ("onnx", "onnxscript", "onnxruntime"),
    Format.SAFETENSORS: ("safetensors",),
    Format.TORCHSCRIPT: ("torch",),
}
"""What writes and runs each format; the last one runs it."""


def require_packages(kind: Format) -> None:
    """Check that the packages of a format can be imported.

    Raises:
        PplrError: one of them cannot; the hint has the command that installs it.
    """
    for name in PACKAGES[kind]:
        try:
            import_module(name)
        except ImportError as error:
            extra = "onnx" if kind is Format.ONNX else "export"
            reason = f"`import {name}` fails: {error}"
            raise missing_package(f"--format {kind}", name, extra, reason) from error


def runner(kind: Format) -> str:
    """Return the name and version of the package that runs a format."""
    name = PACKAGES[kind][-1]
    return f"{name} {metadata.version(name)}"


def opset(kind: Format) -> int | None:
    """Return the ONNX operator set of a format."""
    return onnx.OPSET if kind is Format.ONNX else None


def describe(model: Model, choice: Choice) -> dict[str, Any]:
    """Return the metadata of an exported file: preprocessing, output, origin of the weights."""
    data = model.config.data
    output = {
        "output": OUTPUT,
        "shape": [choice.batch or "N", model.network.feature_size],
        "dtype": "float32",
        "norm": 1,
        "compare": "Euclidean distance, 0 (alike) to 2",
    }
    before = preprocessing(choice.input, data.height, data.width, choice.batch)
    about = {key: value for key, value in model.about.items() if key != "format"}
    return {"preprocessing": before, "output": output, "settings": model.config.document()} | about


def build(model: Model, choice: Choice) -> bytes:
    """Return the content of the file; the network must be on the CPU."""
    if choice.format is Format.SAFETENSORS:
        return _safetensors(model, half=choice.half)
    data, entries = model.config.data, describe(model, choice)
    images = example(choice.input, data.height, data.width, choice.batch or 2)
    encoder = Encoder(model.network, choice.input, half=choice.half)
    if choice.format is Format.ONNX:
        return onnx.build(encoder, images, entries, fixed=choice.batch is not None)
    return _torchscript(encoder, images, entries)


def load(file: Path, choice: Choice, model: Model) -> Run:
    """Load a file as its users do."""
    if choice.format is Format.ONNX:
        return onnx.Session(file)
    if choice.format is Format.TORCHSCRIPT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript itself is deprecated
            return _run(torch.jit.load(file))
    return _run(Model.load(file, model.runtime))


def _run(module: torch.nn.Module) -> Run:
    def call(images: Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            found: NDArray[np.float32] = module(images).numpy()
        return found

    return call


def _torchscript(encoder: Encoder, images: Tensor, entries: Mapping[str, Any]) -> bytes:
    """Return a traced module; `pplr.json` in it is the metadata."""
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", ".*might cause the trace")  # of constant sizes
        traced = torch.jit.trace(encoder, images)
        torch.jit.save(traced, content, _extra_files={"pplr.json": json.dumps(entries)})
    return content.getvalue()


def _safetensors(model: Model, *, half: bool) -> bytes:
    """Return the weights without classifiers; the header has what our weights files record.

    Half precision is for the filters: the values of BatchNorm are few, and each shifts a channel.
    """
    from safetensors.torch import save

    tensors = {
        name: tensor.half() if half and tensor.dim() > 1 else tensor
        for name, tensor in model.network.state_dict().items()
        if not name.startswith("classifier")
    }
    about = model.about | {"settings": model.config.document()}
    return save(tensors, metadata={"format": "pt", METADATA: json.dumps(about)})
