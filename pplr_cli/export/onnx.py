"""Export the retrieval feature as an ONNX model; scaling, normalisation and L2 norm included."""

import io
import json
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pplr_cli import __version__
from pplr_cli.export.encoder import INPUT, OUTPUT

OPSET = 18


def build(encoder: nn.Module, images: Tensor, entries: Mapping[str, Any], *, fixed: bool) -> bytes:
    """Return an ONNX model.

    Args:
        encoder: the network, on the CPU.
        images: an example of the input; two images or more for a free batch size.
        entries: the metadata, as `pplr.<key>`.
        fixed: the batch size is that of the example.
    """
    proto = _exported(encoder, images, fixed=fixed)
    proto.producer_name, proto.producer_version = "pplr", __version__
    for key, value in entries.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=f"pplr.{key}", value=text)
    if fixed:  # ultralytics passes so many images at once, otherwise one
        proto.metadata_props.add(key="batch", value=str(len(images)))
    content: bytes = proto.SerializeToString()
    return content


def _exported(encoder: nn.Module, images: Tensor, *, fixed: bool) -> Any:
    """Return the model as a protocol buffer, without the exporter's messages and stack traces."""
    silent = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(silent), redirect_stderr(silent):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder,
            (images,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=None if fixed else ({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    lists = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in (graph, *(each for parts in lists for each in parts)):
        del part.metadata_props[:]  # stack traces contain the paths of this machine
    return proto


class Session:
    """An ONNX file in onnxruntime on the CPU."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        size = self._session.get_inputs()[0].shape[0]
        self._fixed = size if isinstance(size, int) else None

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """Return the features of any number of images; a fixed batch is filled up."""
        step, parts = self._fixed or len(images), []
        for start in range(0, len(images), step):
            batch = images[start : start + step].numpy()
            full = np.concatenate((batch, np.repeat(batch[-1:], step - len(batch), 0)))
            parts.append(self._session.run([OUTPUT], {INPUT: full})[0][: len(batch)])
        return np.concatenate(parts)
