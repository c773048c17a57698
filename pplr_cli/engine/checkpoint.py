"""Read and write the files of a run: weights as a plain state dict, and states to resume from.

A state ends with the SHA-256 of its content, because `torch.load` does not notice a flipped bit.
"""

import errno
import hashlib
import mmap
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import nn

from pplr_cli.errors import PplrError, StateError
from pplr_cli.files import MEGABYTE, atomic_write, check_space
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
    with _room(path, state, "saving the weights"), atomic_write(path) as file:
        _save(state, file)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a state of tensors and plain values, atomically; keep the last one as `previous`.

    Raises:
        PplrError: the disk is full; the earlier states are kept.
    """
    room = _room(path, state, "saving the state of the run")
    with room, atomic_write(path, keep=previous(path)) as file:
        hashing = _Hashing(file)
        _save({"format": STATE_FORMAT, **state}, hashing)
        file.write(hashing.digest())


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


@contextmanager
def _room(path: Path, content: Any, what: str) -> Iterator[None]:
    """Raise `PplrError` if the disk is too full for `content`, before or during the writing."""
    needed = _size(content)
    check_space(path.parent, needed, what, _MAKE_ROOM)
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise PplrError(
            f"`{path}`: {error.strerror}: {what} needs {needed / MEGABYTE:,.1f} MB, "
            f"{free / MEGABYTE:,.1f} MB are free",
            _MAKE_ROOM,
        ) from error


def _save(content: Any, file: Any) -> None:
    """Call `torch.save`, and raise the disk's own error, which torch hides behind another."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _size(content: Any) -> int:
    """Return the bytes of all tensors in nested dicts and sequences."""
    if isinstance(content, torch.Tensor):
        return content.nbytes
    if isinstance(content, dict):
        return sum(map(_size, content.values()))
    return sum(map(_size, content)) if isinstance(content, list | tuple) else 0


class _Hashing:
    """A binary file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.digest()


def _digest_matches(path: Path) -> bool:
    """Return whether a file ends with the SHA-256 of everything before it."""
    if path.stat().st_size <= DIGEST:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        with memoryview(content) as view, view[:-DIGEST] as state:
            found = hashlib.sha256(state).digest()
        return found == content[-DIGEST:]
