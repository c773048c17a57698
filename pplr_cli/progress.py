"""How long work tells of itself, without knowing who listens.

The engine, the data and the weights packages report through the `Reporter` protocol;
`terminal/console.py` implements it for people, `Silent` for tests and for library use.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` more units as done; `note` is shown beside it until the next one."""


class Reporter(Protocol):
    """Where news of the work goes; nothing here may change a result."""

    def info(self, message: str) -> None:
        """Tell one line of news."""

    def detail(self, message: str) -> None:
        """Tell one line that only those want who ask for more (`--verbose`)."""

    def warn(self, message: str, hint: str | None = None) -> None:
        """Tell of something that is not as it should be but does not stop the work."""

    def task(
        self, title: str, total: int, unit: str, done: int = 0
    ) -> AbstractContextManager[Task]:
        """Open a task, inside another one if need be.

        Args:
            title: what is done.
            total: units in all; 0 = unknown.
            unit: in the plural ("images", "steps", "bytes"); "" where nothing is counted.
            done: units done by an earlier process.
        """


class _SilentTask:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Do nothing."""


class Silent:
    """A reporter that says nothing."""

    def info(self, message: str) -> None:
        """Do nothing."""

    def detail(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str, hint: str | None = None) -> None:
        """Do nothing."""

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        """Give a task that counts nothing."""
        yield _SilentTask()


SILENT = Silent()


@contextmanager
def optional(what: str, reporter: Reporter) -> Iterator[None]:
    """Turn whatever goes wrong inside (a full disk, a bug) into a warning."""
    try:
        yield
    except Exception as error:
        told = str(error) or type(error).__name__
        reporter.warn(f"{what}: {told}", "the training goes on without it")
