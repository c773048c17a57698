"""The one place that prints: results on stdout, everything else on stderr.

`Console` implements the `Reporter` protocol for people: a bar with rate and time left on a
terminal, a plain line every few seconds elsewhere.
"""

import json
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from pplr_cli import env
from pplr_cli.errors import PplrError
from pplr_cli.progress import Task

PLAIN_SECONDS = 10.0
"""Seconds between two progress lines where there is no terminal."""

_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}


class Console:
    """Prints for people and for pipelines; obeys NO_COLOR and the absence of a terminal."""

    def __init__(self, stdout: IO[str] | None = None, stderr: IO[str] | None = None) -> None:
        self._out = RichConsole(file=stdout, highlight=False, emoji=False, soft_wrap=True)
        self._err = RichConsole(
            file=stderr, stderr=stderr is None, highlight=False, emoji=False, soft_wrap=True
        )
        self._log: IO[str] | None = None

    @contextmanager
    def logging_to(self, file: IO[str]) -> Iterator[None]:
        """Copy every line into an open text file as well, and why the work ended, if it failed."""
        self._log = file
        try:
            yield
        except PplrError as error:
            self._write_log(f"error: {error.message}")
            raise
        except BaseException as error:
            self._write_log(f"error: {type(error).__name__}: {error}")
            raise
        finally:
            self._log = None

    # results

    def result(self, text: str) -> None:
        """Print one or more lines of a result."""
        self._out.print(_plain(text))
        self._write_log(text)

    def document(self, document: Any) -> None:
        """Print one JSON document (`--json`)."""
        self._out.file.write(json.dumps(document, indent=2) + "\n")
        self._out.file.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """Print a table, never cut; columns that hold only numbers are right-aligned."""
        if title:
            self._out.print(_plain(title), style="italic")
        grid = [[_plain(cell).plain for cell in row] for row in (columns, *rows)]
        padded = [_pad(column) for column in zip(*grid, strict=True)]
        for number, line in enumerate(zip(*padded, strict=True)):
            self._out.print(Text("  ".join(line).rstrip()), style="bold" if number == 0 else None)

    # the Reporter protocol

    def info(self, message: str) -> None:
        """Tell one line of news."""
        self._err.print(_plain(message))
        self._write_log(message)

    def warn(self, message: str, hint: str | None = None) -> None:
        """Tell of something that is not as it should be."""
        self._labelled("warning", "yellow", message, hint)

    @contextmanager
    def task(self, title: str, total: int, unit: str) -> Iterator[Task]:
        """Show a bar on a terminal, a plain line every few seconds elsewhere."""
        if not self._err.is_interactive:
            yield _Lines(self, title, total, unit)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            task = progress.add_task(title, total=total or None, count="", rate="", note="")
            yield _Bar(progress, task, total, unit)

    # failures

    def error(self, error: PplrError) -> None:
        """Print an expected failure; with PPLR_DEBUG=1 its traceback first."""
        if env.debug():
            self._err.print(_plain("".join(traceback.format_exception(error)).rstrip()))
        self._labelled("error", "red", error.message, error.hint)

    def _labelled(self, label: str, style: str, message: str, hint: str | None) -> None:
        for word, colour, text in ((label, style, message), ("hint", "cyan", hint)):
            if text:
                self._err.print(Text.assemble((f"{word}: ", f"bold {colour}"), _plain(text)))
                self._write_log(f"{word}: {text}")

    def _write_log(self, text: str) -> None:
        """Copy a line to the log; a log that cannot be written ends, the work does not."""
        if self._log is None:
            return
        try:
            self._log.write(f"{_plain(text)}\n")
            self._log.flush()
        except OSError as error:
            with suppress(OSError):  # lest what it still holds fails again at the end
                self._log.close()
            self._log = None
            self.warn(f"the log ends here: {error.strerror}", "the work goes on")


class _Bar:
    """A task shown as a bar."""

    def __init__(self, progress: Progress, task: TaskID, total: int, unit: str) -> None:
        self._progress, self._task, self._total, self._unit = progress, task, total, unit
        self._start, self._done = time.monotonic(), 0

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move the bar."""
        self._done += amount
        rate = _rate(self._done, time.monotonic() - self._start, self._unit)
        count = _count(self._done, self._total, self._unit)
        self._progress.update(self._task, advance=amount, count=count, rate=rate, note=note)


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
        parts = [
            _count(self._done, self._total, self._unit),
            _rate(self._done, elapsed, self._unit),
        ]
        if 0 < self._done < self._total:
            parts.append(f"{elapsed / self._done * (self._total - self._done):.0f} s left")
        self._console.info(f"{self._title}: {', '.join(filter(None, [*parts, note]))}")


def _count(done: int, total: int, unit: str) -> str:
    """Return how much is done, of how much where that is known; bytes as megabytes."""
    scale, digits, name = (1e6, 1, "MB") if unit == "bytes" else (1, 0, unit)
    of = f"/{total / scale:.{digits}f}" if total else ""
    return f"{done / scale:.{digits}f}{of} {name}"


def _rate(done: int, seconds: float, unit: str) -> str:
    """Return the rate for people; bytes as megabytes."""
    rate = done / max(seconds, 1e-9)
    return f"{rate / 1e6:.1f} MB/s" if unit == "bytes" else f"{rate:.1f} {unit}/s"


def _pad(column: Sequence[str]) -> list[str]:
    """Bring the cells below (and with) a heading to one width."""
    width = max(map(cell_len, column))
    numeric = all(cell[:1].isdigit() for cell in column[1:])
    gaps = [" " * (width - cell_len(cell)) for cell in column]
    return [gap + cell if numeric else cell + gap for cell, gap in zip(column, gaps, strict=True)]


def _plain(text: str) -> Text:
    """Return text that no terminal takes for a command: control characters are escaped.

    File names may hold anything; bytes that are no UTF-8 reach us as lone surrogates.
    """
    escaped = text.translate(_CONTROLS).encode(errors="backslashreplace").decode()
    return Text(escaped)


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
