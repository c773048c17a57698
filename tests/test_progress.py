"""The reporter protocol, and the reporter that says nothing."""

import pytest

from pplr_cli.progress import Reporter, Silent, optional
from pplr_cli.terminal.console import Console
from tests.shared_reporter import Recorder


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


@pytest.mark.parametrize(
    ("failure", "told"), [(OSError(28, "No space left"), "No space left"), (KeyError(), "KeyError")]
)
def test_failures_become_warnings(failure: Exception, told: str) -> None:
    listener = Recorder()
    with optional("`report.html`", listener):
        raise failure
    (warning,) = listener.warnings
    assert warning.startswith("`report.html`: ")
    assert told in warning
    assert warning.endswith("; training continues without it")


def test_an_interruption_is_none_of_them() -> None:
    with pytest.raises(KeyboardInterrupt), optional("x", Silent()):
        raise KeyboardInterrupt
