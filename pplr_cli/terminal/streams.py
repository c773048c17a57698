"""Output streams whose failure does not end a run: broken pipe, full disk, ASCII locale."""

import os
import sys
from io import TextIOWrapper
from typing import Any, TextIO


class GuardedStream:
    """A text stream that discards its output after a failure instead of raising.

    Attributes:
        failure: the first error, None so far if there was none.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`, or discard it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Write bytes as they are, or discard them."""
        try:
            self._stream.flush()
            self._stream.buffer.write(content)
            self._stream.buffer.flush()
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Flush, or discard the buffer."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Redirect the descriptor to the null device, so that flushing does not raise again."""
        self.failure = self.failure or error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def guard() -> GuardedStream:
    """Guard stdout and stderr of this process; return stdout."""
    _open_closed_descriptors()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):  # escape what the locale cannot encode
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, GuardedStream(stream))
    assert isinstance(sys.stdout, GuardedStream)
    return sys.stdout


def _open_closed_descriptors() -> None:
    """Open closed standard streams on the null device, so that no data file gets their number."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
