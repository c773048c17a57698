"""The reporter protocol, and the reporter that says nothing."""

import pytest

from pplr_cli.console import Console
from pplr_cli.progress import Reporter, Silent


@pytest.mark.parametrize("reporter", [Silent(), Console()])
def test_reporters_take_the_same_calls(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter.info("news")
    reporter.warn("something", "a way out")
    with reporter.task("work", 2, "images") as task:
        task.advance()
        task.advance(1, "note")
    assert capsys.readouterr().out == ""


def test_silent_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    test_reporters_take_the_same_calls(Silent(), capsys)
    assert capsys.readouterr().err == ""


def test_an_error_leaves_the_task() -> None:
    def fail() -> None:
        with Silent().task("work", 2, "images"):
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
