"""What to export: format, input and target, checked before anything is loaded."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pplr_cli.errors import UsageError


class Format(StrEnum):
    """The format of a model file."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TORCHSCRIPT = "torchscript"


class Input(StrEnum):
    """What the model takes: the image's values and their order."""

    UINT8 = "uint8-nhwc"
    FLOAT = "float-nchw"
    UNIT = "unit-nchw"


class Target(StrEnum):
    """The program that the model is for."""

    REID = "reid"
    BOXMOT = "boxmot"
    ULTRALYTICS = "ultralytics"


EXPECTED = {
    Target.REID: (Format.SAFETENSORS, Input.FLOAT),
    Target.BOXMOT: (Format.ONNX, Input.FLOAT),
    Target.ULTRALYTICS: (Format.ONNX, Input.UNIT),
}
"""The format and the input that each target takes."""
SUFFIXES = {f".{name}": name for name in Format}
WEIGHTS = {".pt", ".pth"}
"""Suffixes of files that this command does not write, so that no folder gets such a name."""


@dataclass(frozen=True)
class Choice:
    """What to write."""

    path: Path  # the model file
    # the folder that also gets the model card and the settings; None for one file
    folder: Path | None
    format: Format  # of the model file
    input: Input  # of the model; a safetensors file is used through `pplr_cli.load`
    half: bool = False  # float16 weights; input and output stay as they are
    batch: int | None = None  # images of every call; None for any number
    target: Target | None = None  # the program that the model is for


def choose(
    to: Path,
    kind: Format | None,
    form: Input | None,
    batch: str,
    target: Target | None,
    *,
    half: bool,
) -> Choice:
    """Check the options of `pplr export` against each other.

    Raises:
        UsageError: some exclude each other, or the name of the output does not fit.
    """
    if target is not None:
        fixed = EXPECTED[target]
        if kind not in (None, fixed[0]) or form not in (None, fixed[1]):
            raise UsageError(
                f"`--for {target}` is always {fixed[0]} with the input {fixed[1]}",
                "leave out --format and --input",
            )
        kind, form = fixed
    path, folder, kind = _output(to, kind)
    size = _batch_size(batch)
    if kind is Format.SAFETENSORS and target is None and form is not None:
        raise UsageError("`--input`: a safetensors file has weights only", "leave out --input")
    if kind is not Format.ONNX and size is not None:
        raise UsageError(
            f"`--batch {batch}`: a {kind} file takes any number of images", "leave out --batch"
        )
    default = Input.FLOAT if kind is Format.SAFETENSORS else Input.UINT8
    return Choice(path, folder, kind, form or default, half, size, target)


def _output(to: Path, given: Format | None) -> tuple[Path, Path | None, Format]:
    """Return the model file, the folder of a folder export, and the format."""
    named = SUFFIXES.get(to.suffix)
    if named is None and (given is None or to.suffix in WEIGHTS):
        ends = ", ".join(SUFFIXES)
        raise UsageError(
            f"`--to {to}`: the file's name must end in {ends}",
            f"`--to model.{given or Format.ONNX}`, or name a folder with --format or --for",
        )
    if named is not None and given not in (None, named):
        raise UsageError(
            f"`--to {to}`: the name of a {given} file must end in .{given}",
            f"`--to {to.with_suffix(f'.{given}')}`",
        )
    if named is not None:
        return to, None, named
    assert given is not None
    return to / f"model.{given}", to, given


def _batch_size(batch: str) -> int | None:
    """Return the number of images, or None for `dynamic`."""
    if batch == "dynamic":
        return None
    if not batch.isdecimal() or not 1 <= int(batch) <= 4096:
        what = f"`--batch {batch}`: not `dynamic` or a number from 1 to 4096"
        raise UsageError(what, "`--batch dynamic`")
    return int(batch)
