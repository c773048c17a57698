"""Output streams that cannot end a run: a reader that left, a full disk, an ASCII locale."""

import os
import sys
from io import TextIOWrapper
from typing import Any, TextIO


class GuardedStream:
    """A text stream that falls silent instead of raising when it cannot be written.

    Attributes:
        failure: the first error met, None while all is well.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`, or drop it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is left."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Lead the descriptor to the null device, so that what is buffered raises no more."""
        self.failure = self.failure or error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def guard() -> GuardedStream:
    """Guard stdout and stderr of this process; return stdout."""
    _open_closed_descriptors()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):  # what a locale cannot spell is escaped
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, GuardedStream(stream))
    assert isinstance(sys.stdout, GuardedStream)
    return sys.stdout


def _open_closed_descriptors() -> None:
    """Give closed standard streams to the null device, lest a data file takes their place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
