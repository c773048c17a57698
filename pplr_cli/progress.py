"""Progress reporting: the `Reporter` protocol, and a reporter that discards everything.

Everything that works for long reports through a `Reporter`; `terminal/console.py` implements it
for people.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """A piece of work in progress."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count `amount` more units as done; show `note` until the next one."""


Advance = Callable[[float], None]
"""`Task.advance`: counts more units as done."""


class Reporter(Protocol):
    """Receives messages and progress; must not change a result."""

    def info(self, message: str) -> None:
        """Report a message."""

    def detail(self, message: str) -> None:
        """Report a message for `--verbose` only."""

    def warn(self, message: str, hint: str | None = None) -> None:
        """Report a problem that does not stop the work."""

    def task(
        self, title: str, total: int, unit: str, done: float = 0
    ) -> AbstractContextManager[Task]:
        """Open a task; tasks can be nested.

        Args:
            title: what is done.
            total: number of units; 0 = unknown.
            unit: in the plural ("images", "steps", "bytes"); "" if nothing is counted.
            done: units done by an earlier process.
        """


class Silent:
    """A reporter that discards everything; also its own task."""

    def info(self, message: str) -> None:
        """Do nothing."""

    detail = info

    def warn(self, message: str, hint: str | None = None) -> None:
        """Do nothing."""

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: float = 0) -> Iterator["Silent"]:
        """Yield a task that counts nothing."""
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Do nothing."""


SILENT = Silent()


@contextmanager
def optional(what: str, reporter: Reporter) -> Iterator[None]:
    """Turn any exception of the block into a warning that names `what`."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        reporter.warn(f"{what}: {reason}", "training continues without it")
