"""The examples of `docs/python.md`, run in order; what they print has the form of the page."""

import contextlib
import io
import re
from typing import Any

import pytest

from pplr_cli import api
from tests.docs import pages
from tests.docs.test_examples import Workshop, forms, workshop

assert workshop

SMALL = dict(setting.split("=") for setting in pages.SMALL)
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```$)?", pages.text("python.md"), re.M | re.S
)


def typed(values: dict[str, str]) -> dict[str, Any]:
    """Return numbers as numbers."""
    number = re.compile(r"[\d.]+")
    return {
        key: (float(text) if "." in text else int(text)) if number.fullmatch(text) else text
        for key, text in values.items()
    }


def test_the_examples_print_what_the_page_says(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: Any, overrides: dict[str, Any] | None = None, **options: Any) -> Any:
        return real(*arguments, overrides=typed(SMALL) | (overrides or {}), **options)

    real, names = api.train, dict[str, Any]()
    monkeypatch.setattr(api, "train", train)
    monkeypatch.chdir(workshop.home)
    assert len(EXAMPLES) == 6
    for program, promised in EXAMPLES:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        assert forms(printed.getvalue()) == forms(promised), program
