"""Lists the classes and functions that the pickles of a weights file name; none of them is run.

Training scripts save NumPy numbers beside their weights (`best_mAP`). `NUMPY` reads these as
placeholders, without calling anything of NumPy.
"""

import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals


class Placeholder:
    """Takes the place of a NumPy value in a file; holds nothing."""

    def __init__(self, *parts: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_NUMPY_NAMES = (
    *("numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct"),  # NumPy 1
    *("numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct"),
    *("numpy.dtype", "numpy.ndarray", "_codecs.encode"),
)
NUMPY: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (Placeholder, name) for name in _NUMPY_NAMES
]
"""What pickles of NumPy numbers and arrays name, for `torch.serialization.safe_globals`."""


def foreign_objects(path: Path) -> list[str]:
    """List the classes and functions in a file that weights do not need; none of them is run."""
    try:
        with safe_globals(NUMPY):
            return sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # an old-style file, or a damaged one
        known = ("torch.", "collections.OrderedDict", *_NUMPY_NAMES)
        return sorted({name for name in _pickle_globals(path) if not name.startswith(known)})


def _pickle_globals(path: Path) -> Iterator[str]:
    """Yield the names of the classes and functions in the pickles of an old-style file."""
    with path.open("rb") as file:
        while file.peek(1):  # several pickles follow each other
            try:
                yield from _named_in_pickle(file)
            except (ValueError, OverflowError, MemoryError):  # raw tensors follow, or damage
                return


def _named_in_pickle(file: IO[bytes]) -> Iterator[str]:
    """Yield the names in one pickle; `STACK_GLOBAL` uses the two strings pushed before it."""
    strings, memo = ["", ""], dict[Any, str]()
    for operation, argument, _ in pickletools.genops(file):
        match operation.name:
            case "GLOBAL" | "INST":
                yield str(argument).replace(" ", ".")
            case "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            case "MEMOIZE":
                memo[len(memo)] = strings[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = strings[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                strings.append(memo.get(argument, ""))
            case _ if isinstance(argument, str):
                strings.append(argument)
