"""Seconds of each stage, by a clock that never goes backwards."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Sums up the time of named stages; it starts when it is made.

    Args:
        seconds: what earlier watches found.

    Attributes:
        seconds: by stage, in the order of their first appearance.
    """

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap (or the start) to a stage."""
        now = time.monotonic()
        self._add(stage, now - self._last)
        self._last = now

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage; laps go on as if nothing had been asked."""
        start = time.monotonic()
        yield
        self._add(stage, time.monotonic() - start)

    def total(self, stage: str) -> None:
        """Make a stage's time that of its parts together."""
        parts = [each for name, each in self.seconds.items() if name.startswith(f"{stage}_")]
        self.seconds[stage] = sum(parts)

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
