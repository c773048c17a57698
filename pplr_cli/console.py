"""The one place that prints: results on stdout, everything else on stderr.

`Console` implements the `Reporter` protocol for people: a bar with rate and time left on a
terminal, a plain line every few seconds elsewhere.
"""

import json
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from pplr_cli import env
from pplr_cli.errors import PplrError
from pplr_cli.progress import Task

PLAIN_SECONDS = 10.0
"""Seconds between two progress lines where there is no terminal."""


class Console:
    """Prints for people and for pipelines; obeys NO_COLOR and the absence of a terminal."""

    def __init__(self, stdout: IO[str] | None = None, stderr: IO[str] | None = None) -> None:
        self._out = RichConsole(file=stdout, highlight=False, soft_wrap=True)
        self._err = RichConsole(file=stderr, stderr=stderr is None, highlight=False, soft_wrap=True)
        self._log: IO[str] | None = None

    def log_to(self, file: IO[str] | None) -> None:
        """Copy every line of news into an open text file as well (a run's `log.txt`)."""
        self._log = file

    # results

    def result(self, text: str) -> None:
        """Print one line of a result."""
        self._out.print(text, markup=False)
        self._write_log(text)

    def document(self, document: Any) -> None:
        """Print one JSON document (`--json`)."""
        self._out.file.write(json.dumps(document, indent=2) + "\n")
        self._out.file.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """Print a table; columns whose first cell reads as a number are right-aligned."""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
        for index, column in enumerate(columns):
            numeric = bool(rows) and rows[0][index].strip()[:1].isdigit()
            table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        width = max(self._out.width, self._out.measure(table).maximum)
        self._out.print(table, width=width, crop=False, markup=False)

    # the Reporter protocol

    def info(self, message: str) -> None:
        """Tell one line of news."""
        self._err.print(message, markup=False)
        self._write_log(message)

    def warn(self, message: str, hint: str | None = None) -> None:
        """Tell of something that is not as it should be."""
        self._labelled("warning", "yellow", message, hint)

    @contextmanager
    def task(self, title: str, total: int, unit: str) -> Iterator[Task]:
        """Show a bar on a terminal, a plain line every few seconds elsewhere."""
        if not self._err.is_terminal:
            yield _Lines(self, title, total, unit)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            yield _Bar(progress, progress.add_task(title, total=total, rate="", note=""), unit)

    # failures

    def error(self, error: PplrError) -> None:
        """Print an expected failure; with PPLR_DEBUG=1 its traceback first."""
        if env.debug():
            self._err.print("".join(traceback.format_exception(error)), markup=False)
        self._labelled("error", "red", error.message, error.hint)

    def _labelled(self, label: str, style: str, message: str, hint: str | None) -> None:
        for word, colour, text in ((label, style, message), ("hint", "cyan", hint)):
            if text:
                self._err.print(f"[bold {colour}]{word}:[/] ", end="")
                self._err.print(text, markup=False)
                self._write_log(f"{word}: {text}")

    def _write_log(self, text: str) -> None:
        if self._log is not None:
            self._log.write(text + "\n")
            self._log.flush()


class _Bar:
    """A task shown as a bar."""

    def __init__(self, progress: Progress, task: TaskID, unit: str) -> None:
        self._progress, self._task, self._unit = progress, task, unit
        self._start, self._done = time.monotonic(), 0

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move the bar."""
        self._done += amount
        rate = _rate(self._done, time.monotonic() - self._start, self._unit)
        self._progress.update(self._task, advance=amount, rate=rate, note=note)


class _Lines:
    """A task shown as a plain line every `PLAIN_SECONDS`; short tasks stay silent."""

    def __init__(self, console: Console, title: str, total: int, unit: str) -> None:
        self._console, self._title, self._total, self._unit = console, title, total, unit
        self._start = self._shown = time.monotonic()
        self._done = 0

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Print a line when the last one is long enough ago."""
        self._done += amount
        now = time.monotonic()
        if now - self._shown < PLAIN_SECONDS:
            return
        self._shown = now
        elapsed = now - self._start
        left = elapsed / self._done * (self._total - self._done) if self._done else 0.0
        rate = _rate(self._done, elapsed, self._unit)
        line = f"{self._title}: {self._done}/{self._total}, {rate}, {left:.0f} s left  {note}"
        self._console.info(line.rstrip())


def _rate(done: int, seconds: float, unit: str) -> str:
    """Return the rate for people; bytes as megabytes."""
    rate = done / max(seconds, 1e-9)
    return f"{rate / 1e6:.1f} MB/s" if unit == "bytes" else f"{rate:.1f} {unit}/s"


def report_unexpected(error: BaseException) -> PplrError | None:
    """Translate known failures of the system and of libraries; None for a bug.

    One table from exception to message, so that no command needs its own.
    """
    name = type(error).__name__
    if name == "OutOfMemoryError":
        return PplrError(
            "the GPU ran out of memory",
            "a smaller `--set batch.size=...` needs less (results differ)",
        )
    if isinstance(error, MemoryError):
        return PplrError("this machine ran out of memory", "set `engine.memory_gb` lower")
    if isinstance(error, OSError) and error.filename is not None:
        return PplrError(
            f"`{error.filename}`: {error.strerror}", "check the path, rights and space"
        )
    if isinstance(error, OSError) and error.errno is not None:
        return PplrError(
            f"{error.strerror}", "check the free space and rights of the output folder"
        )
    return None
