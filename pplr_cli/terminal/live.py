"""The live view: progress bars on a terminal, occasional plain lines elsewhere.

Tasks nest (a run, its epochs, their steps). Only one time left is shown: that of the outermost
task whose speed is known.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from pplr_cli.timing import clock

PLAIN_SECONDS = 20.0
"""Seconds without output after which a plain line is printed."""
POLL_SECONDS = 1.0
"""Seconds between two checks of the thread that prints plain lines."""
SPEED_SECONDS = 1e9
"""Speeds are averaged over this period: from the start, as far as rich's 1,000 samples reach."""
SMALLEST_BAR, WIDEST = 8, 110
"""Cells of a terminal: the least that a bar takes, and the most that a line takes."""


class Work:
    """A task on display; `advance` may be called from any thread."""

    def __init__(self, progress: Progress, number: TaskID) -> None:
        self._progress, self._number = progress, number

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count `amount` more units as done; the last note stays until the next."""
        fields: dict[str, Any] = {"note": note} if note else {}
        self._progress.update(self._number, advance=amount, seen=time.monotonic(), **fields)


class LiveView(Progress):
    """Displays the open tasks, one a line, and below them the note of the innermost.

    Args:
        console: where bars are drawn, if it is a terminal.
        print_line: prints a plain line, if it is not.
    """

    def __init__(self, console: Console, print_line: Callable[[str], None]) -> None:
        self._print_line, self._printed = print_line, time.monotonic()
        self._quiet = threading.Event()
        super().__init__(
            console=console,
            transient=True,
            refresh_per_second=4,
            speed_estimate_period=SPEED_SECONDS,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=time.monotonic,
            disable=not console.is_interactive,
        )

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: float = 0) -> Iterator[Work]:
        """Display a task while the block runs; the arguments are those of `Reporter.task`."""
        fields: dict[str, Any] = {"unit": unit, "note": "", "seen": time.monotonic()}
        with ExitStack() as stack:
            if not self.tasks:
                stack.enter_context(self._printing() if self.disable else self)
            number = self.add_task(title, total=total or None, **fields)
            self.update(number, completed=done)
            stack.callback(self.remove_task, number)
            self.advance(number, 0)  # the speed is measured from here
            yield Work(self, number)

    @contextmanager
    def _printing(self) -> Iterator[None]:
        """Let a thread print lines while the block runs."""
        self.printed()
        self._quiet.clear()
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._quiet.set()
            thread.join()

    def _watch(self) -> None:
        while not self._quiet.wait(POLL_SECONDS):
            self.print_if_due()

    def print_if_due(self) -> None:
        """Print a line about the innermost task if nothing was printed for a while."""
        tasks = self.tasks
        if tasks and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self.printed()
            self._print_line(_plain_line(tasks))

    def printed(self) -> None:
        """Note that a line was printed just now."""
        self._printed = time.monotonic()

    def get_renderables(self) -> Iterable[RenderableType]:  # noqa: D102
        tasks = self.tasks
        if not tasks:
            return
        width = min(self.console.width - 3, WIDEST)  # a terminal may write `^C` into the line
        self.columns = _columns(tasks, width)
        lines: list[RenderableType] = [self.make_tasks_table(tasks)]
        if tasks[-1].fields["note"]:
            lines.append(Text(tasks[-1].fields["note"], "dim", no_wrap=True, overflow="ellipsis"))
        yield Constrain(Group(*lines), width)


class _Cell(ProgressColumn):
    """A column of text; it takes at most `most` cells."""

    def __init__(self, text: Callable[[Task], str], most: int) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis", max_width=most))
        self._text, self._most = text, most

    def render(self, task: Task) -> Text:
        return Text(self._text(task))

    def width(self, tasks: Sequence[Task]) -> int:
        return min(self._most, max((cell_len(self._text(task)) for task in tasks), default=0))


def _columns(tasks: Sequence[Task], width: int) -> tuple[ProgressColumn, ...]:
    """Return the columns that fit: title, count, time left, rate and bar in this order."""
    title, counts, left, rate = (
        _Cell(text, width)
        for text in (lambda task: task.description, count, _left_of(tasks), _rate_of(tasks))
    )
    room, shown = width - title.width(tasks), []
    for cell in (counts, left, rate):
        if cell.width(tasks) < room:
            room -= cell.width(tasks) + 1
            shown.append(cell)
    bar = [BarColumn(bar_width=None)] if room > SMALLEST_BAR else []
    return (title, *bar, *(cell for cell in (counts, rate, left) if cell in shown))


def _plain_line(tasks: Sequence[Task]) -> str:
    """Return the innermost task's progress, and the one time left."""
    work, timed = tasks[-1], _timed(tasks)
    parts = [count(work).strip(), rate(work), work.fields["note"]]
    if timed is not None:
        name = "" if timed is work else f"{timed.description}: "
        parts.append(f"{name}{_left_of(tasks)(timed)}")
    return f"{work.description}: {', '.join(part for part in parts if part)}"


def count(task: Task) -> str:
    """Return how much of a task is done, in its unit; without a unit, how long it has taken."""
    unit = task.fields["unit"]
    if not unit:
        return clock(task.elapsed or 0)
    scale, digits, name = (1e6, 1, "MB") if unit == "bytes" else (1, 0, unit)
    whole = task.completed if digits else int(task.completed + 1e-9)  # a unit begun is not done
    done = f"{whole / scale:,.{digits}f}"
    if task.total is None:
        return f"{done} {name}"
    total = f"{task.total / scale:,.{digits}f}"
    return f"{done:>{len(total)}}/{total} {name}"


def rate(task: Task) -> str:
    """Return the speed of a task; empty if nothing is counted, or nothing was done yet."""
    unit, speed = task.fields["unit"], task.speed
    if not unit or not speed:
        return ""
    return f"{speed / 1e6:.1f} MB/s" if unit == "bytes" else f"{speed:,.1f} {unit}/s"


def seconds_left(task: Task) -> float | None:
    """Return the seconds until a task is done; None if unknown.

    They count down between two updates, but a unit that takes longer than the average does not
    reduce the time of those that follow it.
    """
    if not task.speed or not task.remaining:
        return None
    waited = (time.monotonic() - task.fields["seen"]) * task.speed
    return (task.remaining - min(waited, 1)) / task.speed or None


def _timed(tasks: Sequence[Task]) -> Task | None:
    """Return the outermost task whose time left is known."""
    return next((task for task in tasks if seconds_left(task) is not None), None)


def _left_of(tasks: Sequence[Task]) -> Callable[[Task], str]:
    timed = _timed(tasks)
    return lambda task: f"{clock(seconds_left(task) or 0)} left" if task is timed else ""


def _rate_of(tasks: Sequence[Task]) -> Callable[[Task], str]:
    """Only the innermost rate is shown: it changes every second."""
    return lambda task: rate(task) if task is tasks[-1] else ""
