"""What a run can do without."""

import pytest

from pplr_cli.progress import Silent
from pplr_cli.report.optional import optional


class Listener(Silent):
    def __init__(self) -> None:
        self.warnings: list[tuple[str, str | None]] = []

    def warn(self, message: str, hint: str | None = None) -> None:
        self.warnings.append((message, hint))


@pytest.mark.parametrize(
    ("failure", "told"), [(OSError(28, "No space left"), "No space left"), (KeyError(), "KeyError")]
)
def test_failures_become_warnings(failure: Exception, told: str) -> None:
    listener = Listener()
    with optional("`report.html`", listener):
        raise failure
    ((message, hint),) = listener.warnings
    assert message.startswith("`report.html`: ")
    assert told in message
    assert hint == "the training goes on without it"


def test_an_interruption_is_none_of_them() -> None:
    with pytest.raises(KeyboardInterrupt), optional("x", Silent()):
        raise KeyboardInterrupt
