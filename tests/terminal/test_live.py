"""How work under way is shown."""

import io
import re
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from pplr_cli.terminal import live
from pplr_cli.terminal.live import BarView, LineView, Work, clock


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (36061, "10:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_what_is_known_of_a_task(hand: Clock) -> None:
    work = Work("decode", 100, "images")
    assert (work.count, work.rate, work.left()) == ("  0/100 images", "", None)
    hand.now += 10
    work.advance(20, "at 20")
    assert (work.count, work.rate, work.left()) == (" 20/100 images", "2.0 images/s", 40.0)
    hand.now += 5  # the estimate shrinks as time passes without news
    assert (work.left(), work.left(ends=False)) == (35.0, 0.0)
    work.advance(80)
    assert (work.left(), work.note) == (None, "at 20")


def test_bytes_are_shown_as_megabytes_with_or_without_a_total(hand: Clock) -> None:
    for total, count in ((40_000_000, "10.0/40.0 MB"), (0, "10.0 MB")):
        work = Work("fetch", total, "bytes")
        hand.now += 20
        work.advance(10_000_000)
        assert (work.count, work.rate) == (count, "0.5 MB/s")


def test_what_was_done_before_does_not_count_for_the_rate(hand: Clock) -> None:
    work = Work("training", 50, "epochs", done=40)
    assert work.left() is None
    hand.now += 60
    work.advance()
    assert (work.count, work.left()) == ("41/50 epochs", 540.0)


def test_uncounted_work_shows_how_long_it_takes(hand: Clock) -> None:
    work = Work("clustering", 0, "")
    hand.now += 75
    assert (work.count, work.rate, work.left()) == ("1:15", "", None)


# bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """What two nested tasks look like on a terminal of that width."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    console = Console(file=Terminal(), width=width)
    hand = Clock(monkeypatch)
    view = BarView(console)
    outer, inner = Work("training", 50, "epochs"), Work("epoch 3/50", 25600, "images")
    view._open = [outer, inner]
    outer.advance()
    hand.now += 60
    outer.advance()
    hand.now += 20
    inner.advance(8960, "step 140, loss 3.210")
    with console.capture() as capture:
        console.print(view._render())
    return capture.get().splitlines()


def bare(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


def test_bars_show_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    run, epoch, note = bare(drawn(120, monkeypatch))
    assert re.fullmatch(r"training    ━{32}   2/50 epochs  0:10 this epoch, 23:40 left", run)
    assert re.fullmatch(
        r"epoch 3/50  ━{32}   8,960/25,600 images  112.0 images/s  2:29 left", epoch
    )
    assert note == "step 140, loss 3.210"


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_bars_fit_every_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = bare(drawn(width, monkeypatch))
    assert len(lines) == 3
    assert all(len(line) < width for line in lines)
    assert lines[0].startswith("training")
    assert ("2/50 epochs" in lines[0]) == (width >= 30)


def test_no_colour_leaves_the_rest_of_a_bar_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(80, monkeypatch, NO_COLOR="1")
    assert not any(re.search(r"\x1b\[[0-9;]*3[0-9]m", line) for line in lines)
    assert bare(lines)[0].count("━") < bare(drawn(80, monkeypatch))[0].count("━")


def test_bars_go_when_the_last_task_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    view = BarView(Console(file=terminal))

    def fail() -> None:
        with view.show(Work("outer", 2, "epochs")):
            with view.show(Work("inner", 2, "steps")):
                time.sleep(0.3)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert view._live is None
    assert view._open == []
    assert "inner" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K\x1b[1A\x1b[2K\x1b[?25h\r")  # wiped


# plain lines


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def view(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[LineView]:
    view = LineView(lines.append)
    monkeypatch.setattr(live, "POLL_SECONDS", 1e6)  # the tests look at the clock themselves
    yield view
    assert view._open == []


def test_a_line_now_and_then(view: LineView, lines: list[str], hand: Clock) -> None:
    with view.show(Work("decode", 100, "images")) as task:
        for step in range(1, 101):
            hand.now += 0.5
            task.advance(1, f"at {step}")
    assert lines == [
        "decode: 40/100 images, 2.0 images/s, 0:30 left, at 40",
        "decode: 80/100 images, 2.0 images/s, 0:10 left, at 80",
    ]


def test_short_tasks_are_silent(view: LineView, lines: list[str]) -> None:
    with view.show(Work("quick", 5, "steps")) as task:
        task.advance(0)
        task.advance(5)
    assert lines == []


def test_other_lines_count_too(view: LineView, lines: list[str], hand: Clock) -> None:
    with view.show(Work("decode", 4, "images")) as task:
        for _ in range(4):
            hand.now += 15
            view.printed()
            task.advance()
    assert lines == []


def test_an_inner_task_tells_of_the_outer_one(
    view: LineView, lines: list[str], hand: Clock
) -> None:
    with view.show(Work("training", 3, "epochs")) as run:
        hand.now += 19
        run.advance()
        with view.show(Work("clustering", 0, "")):
            hand.now += 6
            view.look()
    assert lines == ["clustering: 0:06, training: 0:13 this epoch, 0:32 left"]


def test_silence_is_broken_during_one_long_call(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(live, "PLAIN_SECONDS", 0.05)
    with LineView(lines.append).show(Work("clustering", 0, "")):
        time.sleep(0.4)
    assert len(lines) >= 3
    assert set(lines) == {"clustering: 0:00"}


def test_lines_come_at_least_every_thirty_seconds() -> None:
    assert live.PLAIN_SECONDS + live.POLL_SECONDS <= 30
