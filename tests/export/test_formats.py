"""Every format gives the features of torch through the loader of the format."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pplr_cli.config import presets
from pplr_cli.engine.network import Network
from pplr_cli.errors import PplrError
from pplr_cli.export import formats
from pplr_cli.export.check import check_file
from pplr_cli.export.choice import Choice, Format, Input
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime

CASES = [
    pytest.param(Format.ONNX, Input.FLOAT, True, marks=pytest.mark.long),
    (Format.SAFETENSORS, Input.FLOAT, False),
    (Format.SAFETENSORS, Input.FLOAT, True),
    (Format.TORCHSCRIPT, Input.UINT8, False),
    (Format.TORCHSCRIPT, Input.UNIT, True),
]


@pytest.mark.parametrize(("kind", "form", "half"), CASES)
def test_features_are_those_of_torch(
    model: Model, pixels: NDArray[np.uint8], tmp_path: Any, kind: Format, form: Input, half: bool
) -> None:
    for name in formats.PACKAGES[kind]:
        pytest.importorskip(name)
    choice = Choice(tmp_path / f"m.{kind}", None, kind, form, half)
    choice.path.write_bytes(formats.build(model, choice))
    found = check_file(choice.path, choice, model, pixels)
    assert found.cosine > 0.9999
    assert found.distance < (5e-3 if half else 1e-5)
    assert found.speed > 0


def test_an_onnx_file_gives_the_features_of_torch(
    model: Model, pixels: NDArray[np.uint8], onnx_file: Choice
) -> None:
    for count in (2, 5):
        assert check_file(onnx_file.path, onnx_file, model, pixels[:count]).distance < 1e-5


def test_safetensors_are_weights_for_every_command(model: Model, tmp_path: Any) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "m.safetensors"
    path.write_bytes(formats.build(model, Choice(path, None, Format.SAFETENSORS, Input.FLOAT)))
    found = Model.load(path, Runtime())
    assert found.about == model.about
    assert found.config == model.config
    ours, theirs = model.network.state_dict(), found.network.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in ours if not n.startswith("classifier"))


def test_torchscript_has_the_metadata(model: Model, tmp_path: Any) -> None:
    choice = Choice(tmp_path / "m.torchscript", None, Format.TORCHSCRIPT, Input.UNIT)
    choice.path.write_bytes(formats.build(model, choice))
    extra = {"pplr.json": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.load(choice.path, _extra_files=extra)
    assert json.loads(extra["pplr.json"]) == formats.describe(model, choice)


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [(Format.ONNX, "onnxscript", "onnx"), (Format.SAFETENSORS, "safetensors", "export")],
)
def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, kind: Format, package: str, extra: str
) -> None:
    def missing(name: str) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(formats, "import_module", missing)
    with pytest.raises(
        PplrError, match=f"`--format {kind}` needs the package `{package}`"
    ) as caught:
        formats.require_packages(kind)
    assert f"pip install 'pplr[{extra}]'" in str(caught.value.hint)


BACKBONES = ("mobilenet_v2", "resnet18_ibn_a", "timm:test_vit", "timm:test_efficientnet")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    "kind", [Format.TORCHSCRIPT, pytest.param(Format.ONNX, marks=pytest.mark.long)]
)
def test_every_backbone_and_pooling_is_exported(
    tiny_preset: Path, pixels: NDArray[np.uint8], tmp_path: Path, backbone: str, kind: Format
) -> None:
    for name in (*formats.PACKAGES[kind], *(["timm"] if backbone.startswith("timm:") else [])):
        pytest.importorskip(name)
    settings = [f"model.backbone={backbone}", "model.pooling=gem", "data.height=64"]
    config = presets.resolve(str(tiny_preset), "train", settings)
    torch.manual_seed(0)
    model = Model(Network.of(config.model), config, Runtime(workers=1, cache=False), {})
    choice = Choice(tmp_path / f"m.{kind}", None, kind, Input.UINT8)
    choice.path.write_bytes(formats.build(model, choice))
    assert check_file(choice.path, choice, model, pixels.repeat(2, 1)).distance < 1e-3
