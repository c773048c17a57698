"""How work under way is shown: bars on a terminal, plain lines elsewhere.

Tasks nest (a run, its epochs, their steps): both views hold the open ones, outermost first.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

PLAIN_SECONDS = 20.0
"""Seconds without a line after which a plain one is printed."""
POLL_SECONDS = 1.0
"""Seconds between two looks at the clock by the thread that prints plain lines."""
REFRESHES = 4
"""Redraws of the bars in a second."""
BAR_CELLS = (8, 32)
"""Least and largest width of a bar."""
RATE_CELLS = 14
"""Width that a rate is padded to, lest the bar beside it jumps."""
GAP = "  "


class Work:
    """One task: what it is, how far it is, how fast, and how long it will take.

    Args:
        title: what is done.
        total: units in all; 0 = unknown.
        unit: in the plural; "" where nothing is counted.
        done: units that were done before the task was opened; they do not count for the rate.
    """

    def __init__(self, title: str, total: int, unit: str, done: int = 0) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.before = self.done = done
        self.note = ""
        self.start = self.last = time.monotonic()

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` more units as done; the last note stays until another comes."""
        self.done += amount
        self.note = note or self.note
        self.last = time.monotonic()

    @property
    def count(self) -> str:
        """How much is done, of how much where that is known; bytes as megabytes."""
        if not self.unit:
            return clock(time.monotonic() - self.start)
        scale, digits, name = (1e6, 1, "MB") if self.unit == "bytes" else (1, 0, self.unit)
        done = f"{self.done / scale:,.{digits}f}"
        if not self.total:
            return f"{done} {name}"
        total = f"{self.total / scale:,.{digits}f}"
        return f"{done:>{len(total)}}/{total} {name}"

    @property
    def rate(self) -> str:
        """How fast it goes; empty where nothing is counted or was done."""
        new = self.done - self.before
        if not self.unit or not new:
            return ""
        rate = new / max(time.monotonic() - self.start, 1e-9)
        return f"{rate / 1e6:.1f} MB/s" if self.unit == "bytes" else f"{rate:,.1f} {self.unit}/s"

    def left(self, *, ends: bool = True) -> float | None:
        """Seconds until all is done, or (`ends` = False) until the next unit is; None = unknown."""
        new = self.done - self.before
        if not new or self.done >= self.total:
            return None
        each = (self.last - self.start) / new
        units = self.total - self.done if ends else 1
        return max(each * units - (time.monotonic() - self.last), 0.0)


class BarView:
    """Shows the open tasks as bars that stay at the bottom of a terminal, and leave no trace."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: list[Work] = []
        self._live: Live | None = None

    @contextmanager
    def show(self, work: Work) -> Iterator[Work]:
        """Show a task while the block runs."""
        self._open.append(work)
        try:
            if self._live is None:
                self._live = Live(
                    console=self._console,
                    transient=True,
                    refresh_per_second=REFRESHES,
                    get_renderable=self._render,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()
            yield work
        finally:
            self._open.remove(work)
            if not self._open and self._live is not None:
                self._live.stop()
                self._live = None

    def _render(self) -> Group:
        open_ = list(self._open)
        width = self._console.width - 3  # a `^C` that the terminal writes must not wrap
        titles = max((cell_len(work.title) for work in open_), default=0)
        lines = [self._line(work, work is not open_[-1], titles, width) for work in open_]
        note = open_[-1].note if open_ else ""
        if note:
            lines.append(Text(_cut(note, width), style="dim"))
        return Group(*lines)

    def _line(self, work: Work, holds_others: bool, titles: int, width: int) -> Text:
        """Return a task's line: what fits, the title and the count first."""
        cells = {"title": _cut(set_cell_size(work.title, titles), width)}
        room = width - cell_len(cells["title"])
        wanted = {
            "count": work.count,
            "left": _left(work, holds_others),
            "rate": f"{work.rate:>{RATE_CELLS}}",
        }
        if holds_others or not work.rate:
            wanted["rate"] = ""
        for name, text in wanted.items():
            if text and len(text) + len(GAP) <= room:
                cells[name] = text
                room -= len(text) + len(GAP)
        line = Text(cells.pop("title"))
        if work.total and room >= BAR_CELLS[0] + len(GAP):
            line.append(GAP).append(self._bar(work, min(room - len(GAP), BAR_CELLS[1])))
        for name in ("count", "rate", "left"):
            line.append(GAP + cells[name] if name in cells else "")
        return line

    def _bar(self, work: Work, cells: int) -> Text:
        ink = "#" if self._console.options.ascii_only else "━"
        full = round(cells * min(work.done / work.total, 1.0))
        rest = (" " if self._console.no_color else ink) * (cells - full)
        return Text.assemble((ink * full, "green"), (rest, "bright_black"))


class LineView:
    """Prints a plain line about the innermost task whenever nothing was printed for long.

    Args:
        tell: prints a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._open: list[Work] = []
        self._printed = time.monotonic()
        self._stop = threading.Event()

    def printed(self) -> None:
        """Take note that a line was printed, by whomever."""
        self._printed = time.monotonic()

    @contextmanager
    def show(self, work: Work) -> Iterator["_Told"]:
        """Tell of a task while the block runs, even if it is one long call."""
        outermost = not self._open
        self._open.append(work)
        if outermost:
            self.printed()
            self._stop.clear()
            thread = threading.Thread(target=self._watch, daemon=True)
            thread.start()
        try:
            yield _Told(work, self)
        finally:
            self._open.remove(work)
            if outermost:
                self._stop.set()
                thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()

    def look(self) -> None:
        """Print a line if it is time."""
        open_ = list(self._open)
        if not open_ or time.monotonic() - self._printed < PLAIN_SECONDS:
            return
        self.printed()
        work = open_[-1]
        parts = [work.count, work.rate, _left(work, holds_others=False), work.note]
        parts += [f"{outer.title}: {text}" for outer in open_[:-1] if (text := _left(outer, True))]
        self._tell(f"{work.title}: {', '.join(part.strip() for part in parts if part)}")


class _Told:
    """A task that is told of in plain lines."""

    def __init__(self, work: Work, view: LineView) -> None:
        self._work, self._view = work, view

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count, and print a line if it is time."""
        self._work.advance(amount, note)
        self._view.look()


def clock(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _left(work: Work, holds_others: bool) -> str:
    """Return the time left; of a task that holds others, for its present unit as well."""
    all_ = work.left()
    if all_ is None:
        return ""
    one = work.left(ends=False) if holds_others and work.total - work.done > 1 else None
    present = f"{clock(one)} this {work.unit.removesuffix('s')}, " if one is not None else ""
    return f"{present}{clock(all_)} left"


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
