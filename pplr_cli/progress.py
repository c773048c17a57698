"""How long work tells of itself, without knowing who listens.

The engine, the data and the weights packages report through the `Reporter` protocol;
`console.py` implements it for people, `Silent` for tests and for library use.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` more units as done; `note` is a short text shown beside the rate."""


class Reporter(Protocol):
    """Where news of the work goes; nothing here may change a result."""

    def info(self, message: str) -> None:
        """Tell one line of news."""

    def warn(self, message: str, hint: str | None = None) -> None:
        """Tell of something that is not as it should be but does not stop the work."""

    def task(self, title: str, total: int, unit: str) -> AbstractContextManager[Task]:
        """Open a task of `total` units (`unit` in the plural: "images", "steps", "bytes")."""


class _SilentTask:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Do nothing."""


class Silent:
    """A reporter that says nothing."""

    def info(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str, hint: str | None = None) -> None:
        """Do nothing."""

    @contextmanager
    def task(self, title: str, total: int, unit: str) -> Iterator[Task]:
        """Give a task that counts nothing."""
        yield _SilentTask()
