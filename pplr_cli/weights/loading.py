"""Reads weights files, our own and foreign ones, without running anything in them.

Every file goes through `torch.load(..., weights_only=True)`; what that refuses is refused here,
but for NumPy numbers, which become placeholders.
"""

import difflib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.serialization import safe_globals

from pplr_cli.errors import WeightsError, is_out_of_memory
from pplr_cli.files import LFS_POINTER, is_web_page
from pplr_cli.text import named
from pplr_cli.weights.digest import holds_record, record_path
from pplr_cli.weights.pickles import NUMPY, foreign_objects
from pplr_cli.weights.safe import SUFFIX, read_safetensors

METADATA = "pplr"
"""Entry of a state dict's `_metadata` in which our own files record their origin."""
FORMAT = 1
"""Version of that entry; raised if an older pplr would misread it."""
ABOUT: dict[str, type] = {"format": int, "settings": dict, "mode": str, "epoch": int}
"""The keys of that entry that are read, all optional."""
NESTS = ("state_dict", "model", "model_state_dict", "ImgEncoder_state_dict")
"""Keys under which training scripts store the state dict beside other things."""
DEPTH = 2
"""Largest depth of nesting, e.g. a complete training state under `model`."""
WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that data parallelism and compilation put before every name."""
ARCHIVE = b"PK\x03\x04"
"""First bytes of a zip archive, the format of torch.save since PyTorch 1.6."""
NUMBERS = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}
"""Accepted types of tensors."""
AGAIN = "download or copy the file again"
EXPORTED = {".onnx", ".torchscript"}
"""Suffixes of models for other programs."""


class StateDict(NamedTuple):
    """The content of a weights file."""

    path: Path
    tensors: dict[str, Tensor]  # on the CPU, without wrapper prefixes; all values are finite
    about: dict[str, Any] | None  # origin of our own files (settings, mode, epoch, ...)
    notes: tuple[str, ...]  # remarks for people


def read_state_dict(path: Path) -> StateDict:
    """Read the state dict of a weights file; nothing in the file is executed.

    Raises:
        WeightsError: the file is missing, empty, cut short, damaged, a web page, not what its
            recorded SHA-256 says, holds other objects than tensors and plain values or a tensor
            with NaN or infinite values, or was written by a newer pplr.
        MemoryError: it does not fit into memory.
    """
    start = _start(path)
    holds_record(path, f"{AGAIN}, or remove `{record_path(path).name}` if the change was meant")
    if start.startswith(ARCHIVE):
        _check_archive(path)
    notes: list[str] = []
    content = _state_dict_in(_load(path), path, notes)
    tensors = _tensors(content)
    if len(tensors) < len(content):
        others = [str(name) for name in content if name not in tensors]
        notes.append(f"left out what is no named tensor: {named(others)}")
    tensors = _unwrapped(tensors, notes)
    _check_values(tensors, path)
    return StateDict(path, tensors, _about(content, path), tuple(notes))


def _about(content: Mapping[Any, Any], path: Path) -> dict[str, Any] | None:
    """Return the origin that a file of ours records; PyTorch keeps it as an attribute."""
    metadata = getattr(content, "_metadata", None)
    about = metadata.get(METADATA) if isinstance(metadata, Mapping) else None
    if not isinstance(about, dict):
        return None
    for key, kind in ABOUT.items():
        if not isinstance(about.get(key, kind()), kind):
            raise WeightsError(f"`{path}`: the record of its origin is damaged: `{key}`", AGAIN)
    if about.get("format", FORMAT) > FORMAT:
        raise WeightsError(
            f"`{path}`: format {about['format']}, this pplr reads {FORMAT}", "upgrade pplr"
        )
    return about


def _start(path: Path) -> bytes:
    """Return the first bytes; raise if they show that this is no weights file."""
    if not path.is_file():
        what = "a folder, not a weights file" if path.is_dir() else "no such weights file"
        raise WeightsError(f"`{path}`: {what}", weights_in(path) or _near(path))
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise WeightsError(f"`{path}`: the file is empty", AGAIN)
    if is_web_page(start):
        raise WeightsError(
            f"`{path}`: this is a web page, not a weights file",
            "the server sent a page instead of the file (often a quota or a login): open the link "
            "in a browser and save the file itself",
        )
    if start.startswith(LFS_POINTER):
        what = "a Git LFS pointer, not the weights themselves"
        raise WeightsError(f"`{path}`: {what}", "fetch the file: `git lfs pull`")
    return start


def weights_in(folder: Path) -> str | None:
    """Return a hint that names a weights file in a folder; None if there is none."""
    inside = sorted(folder.glob("*.pth"))
    return f"did you mean `{inside[0]}`?" if inside else None


def _near(path: Path) -> str:
    """Return a hint that names a weights file with a similar name beside `path`."""
    names = [each.name for each in path.parent.glob("*.pth")]
    match = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean `{path.parent / match[0]}`?" if match else "check the path of the file"


def _load(path: Path) -> Any:
    """Load a file of tensors and plain values."""
    if path.suffix == SUFFIX:
        return read_safetensors(path, METADATA)
    try:
        with warnings.catch_warnings(), safe_globals(NUMPY):
            warnings.simplefilter("ignore")  # torch's notes on formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no weights raise anything
        if is_out_of_memory(error):
            raise MemoryError from error
        foreign = foreign_objects(path)
        if foreign and isinstance(error, (pickle.UnpicklingError, RuntimeError)):
            # not chained: torch's own message recommends to load such files all the same
            raise WeightsError(
                f"`{path}`: holds more than weights, and none of it was run: {named(foreign)}",
                "get a file of tensors only, or convert this one to a plain state dict on an "
                "isolated machine without network",
            ) from None
        exported = path.suffix in EXPORTED
        hint = "use the weights that it was exported from (.pth or .safetensors)"
        raise WeightsError(
            f"`{path}`: not a weights file of PyTorch, or cut short", hint if exported else AGAIN
        ) from None


def _check_archive(path: Path) -> None:
    """Check the checksums of the zip: torch.load accepts a flipped bit silently."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # a damaged directory raises anything
        if is_out_of_memory(error):
            raise
        raise WeightsError(f"`{path}`: damaged or cut short ({error})", AGAIN) from error
    if damaged:
        raise WeightsError(f"`{path}`: damaged: `{damaged}` fails its checksum", AGAIN)


def _state_dict_in(
    content: Any, path: Path, notes: list[str], depth: int = DEPTH
) -> Mapping[Any, Any]:
    """Return the mapping that holds the tensors: the content itself or an entry of it."""
    known = content if isinstance(content, Mapping) else {}
    if _tensors(known):
        return known
    nest = next((key for key in NESTS if isinstance(known.get(key), Mapping)), None)
    if nest is not None and depth:
        notes.append(f"took the weights from the entry `{nest}`")
        return _state_dict_in(known[nest], path, notes, depth - 1)
    if {"network", "optimizer"} <= set(known):
        hint = weights_in(path.parent) or "use the best.pth or last.pth of the run"
        raise WeightsError(f"`{path}`: the saved state of a run, not its weights", hint)
    keys = f", only {named(list(map(str, known)))}" if isinstance(content, Mapping) else ""
    raise WeightsError(f"`{path}`: holds no state dict{keys}", "store `model.state_dict()`")


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors of a mapping that have names."""
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _unwrapped(tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Remove the prefixes that wrappers put before every name."""
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            notes.append(f"removed the prefix `{wrapper}` from every name")
            inner = {name.removeprefix(wrapper): value for name, value in tensors.items()}
            return _unwrapped(inner, notes)
    return tensors


def _check_values(tensors: dict[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        dense = tensor.layout == torch.strided and not tensor.is_nested
        if not dense or tensor.device.type != "cpu" or tensor.dtype not in NUMBERS:
            raise WeightsError(
                f"`{path}`: tensor `{name}` is of a kind that weights do not have here "
                f"({tensor.dtype}, {tensor.layout}, {tensor.device})",
                "store plain values: dense, on the CPU, as float32",
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(_stored(tensor)).all()):
            raise WeightsError(
                f"`{path}`: tensor `{name}` holds NaN or infinite values",
                "use a file saved before training went wrong",
            )


def _stored(tensor: Tensor) -> Tensor:
    """Return the stored values of a tensor: an expanded one may be far larger than its storage."""
    storage = tensor.untyped_storage()
    if tensor.numel() * tensor.element_size() <= storage.nbytes():
        return tensor
    return torch.empty(0, dtype=tensor.dtype).set_(storage)
