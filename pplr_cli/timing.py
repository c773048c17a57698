"""Durations and moments as text, and the time of each stage by a monotonic clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


def clock(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def to_minute(moment: str) -> str:
    """Return a moment in UTC (ISO 8601) for people: `2026-11-27 09:05 UTC`."""
    return f"{moment[:16].replace('T', ' ')} UTC"


@dataclass
class Stopwatch:
    """Adds up the time of named stages."""

    seconds: dict[str, float] = field(default_factory=dict)  # in order of first appearance

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start

    def total(self, stage: str) -> None:
        """Set a stage's time to the sum of its parts, which are named `<stage>_<part>`."""
        parts = [each for name, each in self.seconds.items() if name.startswith(f"{stage}_")]
        self.seconds[stage] = sum(parts)
