"""`log.txt`: a copy of everything a run reports."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pplr_cli.progress import Reporter, Task
from pplr_cli.text import printable


@dataclass
class RunLog:
    """A reporter that passes everything on and, once opened, copies it to a file."""

    reporter: Reporter  # gets every call
    _file: IO[str] | None = field(default=None, init=False)

    @contextmanager
    def open(self, path: Path) -> Iterator[None]:
        """Append to a file while the block runs."""
        with path.open("a", encoding="utf-8", errors="backslashreplace") as self._file:
            yield
        self._file = None

    def write(self, line: str) -> None:
        """Write a line to the file only; if that fails, close the file and go on without it."""
        if self._file is None:
            return
        try:
            self._file.write(f"{printable(line)}\n")
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # closing flushes, which fails again
                self._file.close()
            self._file = None
            self.reporter.warn(f"the log ends here: {error.strerror}", "training continues")

    def info(self, message: str) -> None:
        """Pass on, and write."""
        self.reporter.info(message)
        self.write(message)

    def detail(self, message: str) -> None:
        """Pass on, and write."""
        self.reporter.detail(message)
        self.write(message)

    def warn(self, message: str, hint: str | None = None) -> None:
        """Pass on, and write."""
        self.reporter.warn(message, hint)
        self.write(f"warning: {message}")
        if hint:
            self.write(f"hint: {hint}")

    def task(
        self, title: str, total: int, unit: str, done: float = 0
    ) -> AbstractContextManager[Task]:
        """Pass on only: progress is not logged."""
        return self.reporter.task(title, total, unit, done)
