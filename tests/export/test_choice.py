"""The options of `pplr export` exclude each other where they must, and say so."""

from pathlib import Path
from typing import Any

import pytest

from pplr_cli.errors import UsageError
from pplr_cli.export.choice import EXPECTED, Choice, Format, Input, Target, choose


def pick(to: str, **given: Any) -> Choice:
    values = {"kind": None, "form": None, "batch": "dynamic", "target": None, "half": False}
    return choose(Path(to), **(values | given))


def test_the_suffix_names_the_format_and_a_folder_needs_one() -> None:
    assert pick("m.onnx") == Choice(Path("m.onnx"), None, Format.ONNX, Input.UINT8)
    assert pick("m.safetensors").format is Format.SAFETENSORS
    assert pick("a/m.torchscript", form=Input.UNIT).input is Input.UNIT
    folder = pick("out", kind=Format.TORCHSCRIPT, half=True)
    assert (folder.path, folder.folder) == (Path("out/model.torchscript"), Path("out"))
    assert pick("m.onnx", batch="7").batch == 7


@pytest.mark.parametrize("target", Target)
def test_a_target_chooses_format_and_input(target: Target) -> None:
    kind, form = EXPECTED[target]
    found = pick("out", target=target)
    assert (found.format, found.input, found.path.name) == (kind, form, f"model.{kind}")
    assert pick("out", target=target, kind=kind, form=form) == found
    assert pick(f"m.{kind}", target=target).folder is None


@pytest.mark.parametrize(
    ("to", "given", "message"),
    [
        ("m.pt", {}, r"must end in \.onnx, \.safetensors, \.torchscript"),
        ("m.pth", {"kind": Format.ONNX}, r"must end in"),
        ("out", {}, r"must end in"),
        ("m.onnx", {"kind": Format.SAFETENSORS}, r"a safetensors file must end in \.safetensors"),
        ("m.onnx", {"target": Target.REID}, r"a safetensors file must end in"),
        ("out", {"target": Target.BOXMOT, "form": Input.UINT8}, r"always onnx .* float-nchw"),
        ("out", {"target": Target.REID, "kind": Format.ONNX}, r"always safetensors"),
        ("m.safetensors", {"form": Input.FLOAT}, r"has weights only"),
        ("m.torchscript", {"batch": "4"}, r"takes any number"),
        ("m.onnx", {"batch": "0"}, r"not `dynamic` or a number"),
        ("m.onnx", {"batch": "many"}, r"not `dynamic` or a number"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(to: str, given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        pick(to, **given)
    assert caught.value.hint
