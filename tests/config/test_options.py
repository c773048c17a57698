"""Options that are declared once, as fields, and the command lines they make."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from pplr_cli.config.options import Option, options_of, words


@dataclass(frozen=True)
class Request:
    kind: str
    source: Annotated[tuple[Path, ...], Option(metavar="SOURCE")] = ()
    size: Annotated[int, Option("--size", "-s", min=1)] = 3
    tags: Annotated[tuple[str, ...], Option("--tag")] = ()
    fast: Annotated[bool, Option("--fast/--slow")] = True
    dry: Annotated[bool, Option("--dry")] = False


def test_the_fields_that_declare_an_option() -> None:
    options = options_of(Request)
    assert list(options) == ["source", "size", "tags", "fast", "dry"]
    assert (options["size"].flags, options["size"].about) == (("--size", "-s"), {"min": 1})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Request("x"), []),
        (Request("x", size=5, dry=True), ["--size", "5", "--dry"]),
        (Request("x", fast=False), ["--slow"]),
        (
            Request("x", (Path("a"), Path("b c")), tags=("u", "v")),
            ["a", "b c", "--tag", "u", "--tag", "v"],
        ),
    ],
)
def test_the_words_of_a_command_line(wanted: Request, expected: list[str]) -> None:
    assert words(wanted) == expected
