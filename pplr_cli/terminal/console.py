"""Printing: results on stdout, everything else on stderr."""

import json
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.text import Text

from pplr_cli import env
from pplr_cli.errors import PplrError
from pplr_cli.progress import Silent, Task
from pplr_cli.terminal.live import LiveView
from pplr_cli.terminal.streams import GuardedStream
from pplr_cli.terminal.tables import fit_table
from pplr_cli.text import printable


@dataclass(eq=False, repr=False)
class Console:
    """Prints results, and implements the `Reporter` protocol; obeys NO_COLOR."""

    stdout: IO[str] | None = None  # for results
    stderr: IO[str] | None = None  # for everything else
    verbosity: int = 0  # below 0: results, warnings and errors only; above 0: details too

    def __post_init__(self) -> None:
        look: dict[str, Any] = {"highlight": False, "emoji": False, "soft_wrap": True}
        self._out = RichConsole(file=self.stdout, **look)
        self._err = RichConsole(file=self.stderr, stderr=self.stderr is None, **look)
        self._live = LiveView(self._err, self.info)

    # results

    def result(self, text: str) -> None:
        """Print one or more lines of a result."""
        self._out.print(_plain(text))

    def data(self, content: bytes) -> None:
        """Print a file byte for byte; on a terminal, with control codes escaped."""
        if self._out.is_terminal:
            self._out.print(_plain(content.decode(errors="surrogateescape")), end="")
        elif isinstance(self._out.file, GuardedStream):
            self._out.file.write_bytes(content)
        else:
            self._out.file.write(content.decode(errors="backslashreplace"))

    def document(self, document: Any) -> None:
        """Print one JSON document (`--json`); dataclasses and paths are converted."""
        self._out.file.write(json.dumps(document, indent=2, default=_plain_value) + "\n")
        self._out.file.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, as `fit_table` arranges it."""
        rows = [[_cell(text) for text in row] for row in rows]
        for line in fit_table(self._out, [_cell(name) for name in columns], rows):
            self._out.print(line)

    # the Reporter protocol

    def info(self, message: str) -> None:
        """Print one line of news."""
        self._print(message, 0)

    def detail(self, message: str) -> None:
        """Print one line if verbose."""
        self._print(message, 1)

    def warn(self, message: str, hint: str | None = None) -> None:
        """Print a warning."""
        self._labelled("warning", "yellow", message, hint)

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: float = 0) -> Iterator[Task]:
        """Show progress: a bar on a terminal, an occasional line elsewhere."""
        reporter = Silent() if self.verbosity < 0 else self._live
        with reporter.task(printable(title), total, unit, done) as task:
            yield task

    # failures

    def error(self, error: PplrError) -> None:
        """Print an expected failure, after its traceback if PPLR_DEBUG=1."""
        if env.DEBUG.get() == "1":
            self._err.print(_plain("".join(traceback.format_exception(error)).rstrip()))
        self._labelled("error", "red", error.message, error.hint)

    def _labelled(self, label: str, style: str, message: str, hint: str | None) -> None:
        for word, colour, text in ((label, style, message), ("hint", "cyan", hint)):
            if text:
                self._err.print(Text.assemble((f"{word}: ", f"bold {colour}"), _plain(text)))

    def _print(self, message: str, level: int) -> None:
        if level <= self.verbosity:
            self._err.print(_plain(message))
            self._live.printed()


def _plain_value(value: Any) -> Any:
    """Return what JSON has for a dataclass or a path."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _cell(text: str) -> str:
    """Return text on one line without control codes."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _plain(text: str) -> Text:
    """Return text without control codes."""
    return Text(printable(text))
