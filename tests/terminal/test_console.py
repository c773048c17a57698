"""The one place that prints."""

import io
import json
import re
import time

import pytest

from pplr_cli.errors import DataError, PplrError
from pplr_cli.terminal import live
from pplr_cli.terminal.console import Console
from pplr_cli.terminal.streams import GuardedStream

HOSTILE = "[red]x[/] :smile: \x1b[31m é \udcff \r.jpg"
TAMED = "[red]x[/] :smile: \\x1b[31m é \\udcff \\x0d.jpg"


class Terminal(io.StringIO):
    """A text stream that passes for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PPLR_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(out: io.StringIO, err: io.StringIO) -> Console:
    return Console(out, err)


def test_results_and_news_go_apart(console: Console, out: io.StringIO, err: io.StringIO) -> None:
    console.result("mAP 81.5")
    console.info("reading")
    console.warn("odd", "look")
    assert out.getvalue() == "mAP 81.5\n"
    assert err.getvalue() == "reading\nwarning: odd\nhint: look\n"


def test_nothing_is_wrapped_marked_up_or_passed_through(
    console: Console, out: io.StringIO, err: io.StringIO
) -> None:
    console.result("x" * 300)
    console.result(HOSTILE)
    console.table(["file"], [[HOSTILE]])
    console.info(HOSTILE)
    console.error(PplrError(HOSTILE, HOSTILE))
    assert out.getvalue().splitlines()[:1] == ["x" * 300]
    assert out.getvalue().count(TAMED) == 2
    assert err.getvalue() == f"{TAMED}\nerror: {TAMED}\nhint: {TAMED}\n"


def test_data_are_printed_byte_for_byte_but_for_a_terminal() -> None:
    content = b"path\n\xff\x1b[31m\r.jpg\n"
    buffer = io.BytesIO()
    Console(GuardedStream(io.TextIOWrapper(buffer, encoding="ascii"))).data(content)  # type: ignore[arg-type]
    assert buffer.getvalue() == content
    terminal = Terminal()
    Console(terminal).data(content)
    assert terminal.getvalue() == "path\n\\udcff\\x1b[31m\\x0d.jpg\n"


def test_document_is_json(console: Console, out: io.StringIO) -> None:
    document = {"path": HOSTILE, "mAP": 81.5, "none": None}
    console.document(document)
    assert json.loads(out.getvalue()) == document
    assert out.getvalue().isascii()


def test_table_aligns_numbers_and_is_never_cut(console: Console, out: io.StringIO) -> None:
    long = "a/very/long/path/" * 10
    console.table(["set", "images", "path"], [["train", "12936", "x"], ["query", "75", long]])
    assert out.getvalue().splitlines() == [
        "set    images  path",
        "train   12936  x",
        f"query      75  {long}",
    ]


def test_wide_characters_keep_the_columns_straight(console: Console, out: io.StringIO) -> None:
    console.table(["name", "n"], [["日本", "1"], ["abcd", "2"]])
    assert out.getvalue().splitlines() == ["name  n", "日本  1", "abcd  2"]


def test_empty_table_shows_its_head(console: Console, out: io.StringIO) -> None:
    console.table(["set", "images"], [])
    assert out.getvalue().split() == ["set", "images"]


# colour


def test_colour_only_on_a_terminal() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        Console(stream, stream).error(PplrError("no"))
    assert "\x1b[" in terminal.getvalue()
    assert pipe.getvalue() == "error: no\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_when_unwanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    console = Console(terminal, terminal)
    console.error(PplrError("no", "way"))
    console.table(["a"], [["1"]])
    assert not any(f"\x1b[{code}" in terminal.getvalue() for code in ("3", "1;3", "9"))


# progress


def test_terminal_gets_a_bar() -> None:
    terminal = Terminal()
    with Console(terminal, terminal).task("[b]decode", 8, "images") as task:
        task.advance(8, "note [i]")
        time.sleep(0.3)  # the bars are drawn four times a second
    assert "[b]decode" in terminal.getvalue()
    assert "8/8 images" in terminal.getvalue()
    assert "note [i]" in terminal.getvalue()


def test_pipe_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, console: Console, err: io.StringIO
) -> None:
    monkeypatch.setattr(live, "PLAIN_SECONDS", 0.0)
    monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
    with console.task("\x1b[1mdecode", 8, "images") as task:
        task.advance(8, "at 8")
        time.sleep(0.1)
    assert err.getvalue().startswith("\\x1b[1mdecode: 8/8 images, ")


@pytest.mark.parametrize(
    ("verbosity", "told"),
    [(-1, ["warning: w"]), (0, ["i", "warning: w"]), (1, ["i", "d", "warning: w"])],
)
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_verbosity_chooses_what_is_told(
    verbosity: int, told: list[str], stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(live, "PLAIN_SECONDS", 1e9)
    out, err = stream(), stream()
    console = Console(out, err, verbosity)
    console.info("i")
    console.detail("d")
    console.warn("w")
    console.result("r")
    seen = re.sub(r"\x1b\[[0-9;]*m", "", err.getvalue())
    assert seen.splitlines() == told
    assert out.getvalue() == "r\n"
    if verbosity < 0:
        with console.task("work", 2, "steps") as task:
            task.advance(2)
        assert err.getvalue().count("\n") == 1


# failures


def test_traceback_only_on_request(
    monkeypatch: pytest.MonkeyPatch, console: Console, err: io.StringIO
) -> None:
    def fail() -> None:
        raise DataError("`a.jpg`: broken") from ValueError("the cause")

    for debug, seen in (("0", False), ("1", True)):
        monkeypatch.setenv("PPLR_DEBUG", debug)
        with pytest.raises(DataError) as caught:
            fail()
        console.error(caught.value)
        assert err.getvalue().endswith("error: `a.jpg`: broken\n")
        assert ("Traceback" in err.getvalue()) is seen
        assert ("ValueError: the cause" in err.getvalue()) is seen
