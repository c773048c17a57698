"""The ONNX file: its input, output and metadata."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.export import formats, onnx
from pplr_cli.export.choice import Choice, Format
from pplr_cli.retrieval.model import Model


def test_the_file_says_what_it_expects(model: Model, onnx_file: Choice) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_file.path, providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [32, 16, 3])
    assert given.shape[0] == "batch"
    assert (returned.name, returned.type) == ("features", "tensor(float)")
    entries = session.get_modelmeta().custom_metadata_map
    about = {k.removeprefix("pplr."): v for k, v in entries.items() if k.startswith("pplr.")}
    assert json.loads(about["preprocessing"]) == formats.describe(model, onnx_file)["preprocessing"]
    assert json.loads(about["output"])["shape"] == ["N", model.network.feature_size]
    assert (about["epoch"], about["mode"]) == ("3", "train")
    assert json.loads(about["settings"])["data"]["name"] == "tiny"


def test_nothing_of_this_machine_and_of_the_parts_is_in_the_file(
    onnx_file: Choice,
) -> None:
    content = onnx_file.path.read_bytes()
    assert b"bnneck" in content
    assert b"bnneck0" not in content
    assert b"classifier" not in content
    assert str(Path(onnx.__file__).parents[1]).encode() not in content


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    for name in formats.PACKAGES[Format.ONNX]:
        pytest.importorskip(name)
    import onnxruntime

    built = onnx.build(torch.nn.Softmax(dim=1), torch.zeros(2, 3), {}, fixed=True)
    (tmp_path / "m.onnx").write_bytes(built)
    meta = onnxruntime.InferenceSession(built, providers=["CPUExecutionProvider"]).get_modelmeta()
    assert meta.custom_metadata_map["batch"] == "2"  # for ultralytics
    images = torch.rand(5, 3)
    found = onnx.Session(tmp_path / "m.onnx")(images)
    assert np.abs(found - images.softmax(1).numpy()).max() < 1e-6
