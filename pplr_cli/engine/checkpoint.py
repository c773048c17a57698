"""Read and write the files of a run: weights as a plain state dict, and states to resume from.

A state ends with the SHA-256 of its content, because `torch.load` does not notice a flipped bit.
"""

import errno
import hashlib
import io
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import torch
from torch import nn

from pplr_cli.errors import PplrError, StateError
from pplr_cli.files import atomic_write, check_space
from pplr_cli.text import sized
from pplr_cli.weights.loading import FORMAT, METADATA

STATE_FORMAT = 1
"""Version of the states: raised when an older pplr would misread them."""
DIGEST = hashlib.sha256().digest_size
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def save_weights(network: nn.Module, path: Path, about: dict[str, Any]) -> None:
    """Write a state dict that every machine can read, with `about` in its metadata, atomically.

    `about` (plain values) is in the state dict's `_metadata`, which PyTorch keeps.

    Raises:
        PplrError: the disk is full; the earlier file is kept.
    """
    state: OrderedDict[str, Any] = network.state_dict()  # type: ignore[assignment]
    state.update({name: tensor.cpu() for name, tensor in state.items()})
    state._metadata[METADATA] = {"format": FORMAT, **about}  # type: ignore[attr-defined]
    _write(_saved(state), path, "saving the weights")


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a state of tensors and plain values, atomically; keep the last one as `previous`.

    Raises:
        PplrError: the disk is full; the earlier states are kept.
    """
    buffer = _saved({"format": STATE_FORMAT, **state})
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    _write(buffer, path, "saving the state of the run", keep=previous(path))


def load_state(path: Path) -> dict[str, Any]:
    """Read a state; nothing in the file is executed.

    Raises:
        StateError: the file is missing or damaged.
        PplrError: a newer pplr wrote it; no older state is used instead.
    """
    if not path.is_file():
        raise StateError(f"`{path}`: no such state file", "a run folder keeps it as `state.pt`")
    if not _digest_matches(path):
        raise StateError(f"`{path}`: damaged or cut short: its SHA-256 does not match", _OTHER)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = int(state["format"])
    except Exception:  # its digest matches, so it never was a state; hide torch's advice
        raise StateError(f"`{path}`: not a state of a run", _OTHER) from None
    if version > STATE_FORMAT:
        what = f"`{path}`: state format {version}, this pplr reads {STATE_FORMAT}"
        raise PplrError(what, "upgrade pplr")
    return dict(state)


def previous(path: Path) -> Path:
    """Return the path of the state before the newest."""
    return path.with_suffix(f".previous{path.suffix}")


def newest_state(path: Path) -> tuple[dict[str, Any], list[StateError]]:
    """Return the newest undamaged state at `path`, and the errors of a newer one.

    Raises:
        StateError: there is none.
        PplrError: a newer pplr wrote the newest.
    """
    faults: list[StateError] = []
    for candidate in (path, previous(path)):
        try:
            return load_state(candidate), faults
        except StateError as error:
            faults.append(error)
    raise faults[0] if path.exists() else faults[1]


_MAKE_ROOM = "make room there; `--resume` continues from the last saved state"
_OTHER = "name an older state with --resume-from, or start the run again"


def _saved(content: Any) -> io.BytesIO:
    """Return what `torch.save` writes: in memory, so that the disk is touched by one write."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer


def _write(buffer: io.BytesIO, path: Path, what: str, keep: Path | None = None) -> None:
    """Write a file atomically; raise `PplrError` if the disk is too full, before or while."""
    content = buffer.getbuffer()
    check_space(path.parent, len(content), what, _MAKE_ROOM)
    try:
        with atomic_write(path, keep=keep) as file:
            _put(content, file)
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise PplrError(
            f"`{path}`: {error.strerror}: {what} needs {sized(len(content))}, "
            f"{sized(free)} are free",
            _MAKE_ROOM,
        ) from error


def _put(content: memoryview, file: IO[bytes]) -> None:
    file.write(content)


def _digest_matches(path: Path) -> bool:
    """Return whether a file ends with the SHA-256 of everything before it."""
    content = memoryview(path.read_bytes())
    return hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]
