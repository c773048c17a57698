"""The live view of work in progress."""

import io
import re
import time
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.progress import Task

from pplr_cli.terminal import live
from pplr_cli.terminal.live import LiveView, clock, count, rate, seconds_left


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def view(hand: Clock, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveView]:
    """A view without a terminal; the tests let it print."""
    monkeypatch.setattr(live, "POLL_SECONDS", 1e6)
    view = LiveView(Console(file=io.StringIO()), lines.append)
    yield view
    assert innermost(view) is None


def innermost(view: LiveView) -> Task | None:
    return next(reversed(view.tasks), None)


def facts(view: LiveView) -> tuple[str, str, float | None]:
    """The count, the rate and the seconds left of the innermost task."""
    task = innermost(view)
    assert task is not None
    return count(task), rate(task), seconds_left(task)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (36061, "10:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_count_rate_and_time_left(view: LiveView, hand: Clock) -> None:
    with view.task("decode", 100, "images") as task:
        assert facts(view) == ("  0/100 images", "", None)
        hand.now += 10
        task.advance(20, "at 20")
        assert facts(view) == (" 20/100 images", "2.0 images/s", 40.0)
        task.advance(80)
        assert facts(view)[2] is None


@pytest.mark.parametrize(("total", "expected"), [(3, [6, 2, None, None]), (5, [26, 22, 20, 20])])
def test_time_left_counts_down_but_not_below_that_of_later_units(
    view: LiveView, hand: Clock, total: int, expected: list[float | None]
) -> None:
    with view.task("training", total, "epochs") as task:
        for _ in range(2):
            hand.now += 10
            task.advance()
        for seconds in expected:
            hand.now += 4
            assert facts(view)[2] == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(("total", "text"), [(40_000_000, "10.0/40.0 MB"), (0, "10.0 MB")])
def test_bytes_are_megabytes(view: LiveView, hand: Clock, total: int, text: str) -> None:
    with view.task("fetch", total, "bytes") as task:
        hand.now += 20
        task.advance(10_000_000)
        assert facts(view)[:2] == (text, "0.5 MB/s")


def test_units_done_before_do_not_count_for_the_rate(view: LiveView, hand: Clock) -> None:
    with view.task("training", 50, "epochs", done=40) as task:
        assert facts(view)[2] is None
        hand.now += 60
        task.advance()
        assert (facts(view)[0], facts(view)[2]) == ("41/50 epochs", pytest.approx(540))


def test_only_the_rest_of_an_epoch_begun_before_counts_for_the_time_left(
    view: LiveView, hand: Clock
) -> None:
    with view.task("training", 50, "epochs", done=40.75) as task:
        assert facts(view)[0] == "40/50 epochs"
        hand.now += 15
        task.advance(0.25)
        assert (facts(view)[0], facts(view)[2]) == ("41/50 epochs", pytest.approx(540))


def test_uncounted_work_shows_its_duration(view: LiveView, hand: Clock) -> None:
    with view.task("clustering", 0, ""):
        hand.now += 75
        assert facts(view) == ("1:15", "", None)


# bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """Two nested tasks on a terminal of that width."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    hand = Clock(monkeypatch)
    terminal, paper = (Console(file=Terminal(), width=width) for _ in range(2))
    view = LiveView(terminal, pytest.fail)
    with view.task("training", 50, "epochs") as outer:
        hand.now += 60
        outer.advance(2)
        with view.task("epoch 3/50", 25600, "images") as inner:
            hand.now += 20
            inner.advance(8960, "step 140, loss 3.210")
            paper.print(*view.get_renderables())
    assert isinstance(paper.file, Terminal)
    return paper.file.getvalue().splitlines()


def bare(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", line) for line in lines]


def test_bars_show_count_rate_and_one_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    run, epoch, note = bare(drawn(120, monkeypatch))
    assert re.fullmatch(r"training   [━╸╺]{40,}  2/50 epochs +23:40 left", run)
    assert re.fullmatch(r"epoch 3/50 [━╸╺]{40,}  8,960/25,600 images 448.0 images/s *", epoch)
    assert note == "step 140, loss 3.210"


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_bars_fit_every_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = bare(drawn(width, monkeypatch))
    assert len(lines) == 3
    assert all(len(line) < width for line in lines)
    assert lines[0].startswith("training")
    assert ("2/50 epochs" in lines[0]) == (width >= 40)
    assert ("23:40 left" in lines[0]) == (width not in {20, 40})


def test_without_colour_the_rest_of_a_bar_is_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(80, monkeypatch, NO_COLOR="1")
    assert not any(re.search(r"\x1b\[[0-9;]*3[0-9]m", line) for line in lines)
    assert bare(lines)[0].count("━") < bare(drawn(80, monkeypatch))[0].count("━")


def test_bars_are_erased_when_the_last_task_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    view = LiveView(Console(file=terminal), pytest.fail)

    def fail() -> None:
        with view.task("outer", 2, "epochs"):
            with view.task("inner", 2, "steps"):
                time.sleep(0.3)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert innermost(view) is None
    assert "inner" in terminal.getvalue()
    assert re.search(r"\x1b\[2K[^a-z]*\x1b\[\?25h\r?$", terminal.getvalue())


# plain lines


def test_a_line_now_and_then(view: LiveView, lines: list[str], hand: Clock) -> None:
    with view.task("decode", 100, "images") as task:
        for step in range(1, 101):
            hand.now += 0.5
            task.advance(1, f"at {step}")
            view.print_if_due()
    assert lines == [
        "decode: 40/100 images, 2.0 images/s, at 40, 0:30 left",
        "decode: 80/100 images, 2.0 images/s, at 80, 0:10 left",
    ]


def test_other_lines_count_too(view: LiveView, lines: list[str], hand: Clock) -> None:
    with view.task("decode", 4, "images") as task:
        for _ in range(4):
            hand.now += 15
            view.printed()
            task.advance()
            view.print_if_due()
    assert lines == []


def test_a_line_names_the_outermost_time_left_only(
    view: LiveView, lines: list[str], hand: Clock
) -> None:
    with view.task("training", 3, "epochs") as run:
        with view.task("epoch 1/3", 10, "images") as epoch:
            hand.now += 20
            epoch.advance(5)
            view.print_if_due()
        run.advance()
        with view.task("epoch 2/3", 10, "images") as epoch:
            hand.now += 10
            epoch.advance(5)
            hand.now += 10
            view.print_if_due()
    assert lines == [
        "epoch 1/3: 5/10 images, 0.2 images/s, 0:20 left",
        "epoch 2/3: 5/10 images, 0.5 images/s, training: 0:20 left",
    ]


def test_silence_is_broken_during_one_long_call(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(live, "PLAIN_SECONDS", 0.05)
    with LiveView(Console(file=io.StringIO()), lines.append).task("clustering", 0, ""):
        time.sleep(0.4)
    assert len(lines) >= 3
    assert set(lines) == {"clustering: 0:00"}


def test_lines_come_at_least_every_thirty_seconds() -> None:
    assert live.PLAIN_SECONDS + live.POLL_SECONDS <= 30
