"""Options that are declared once, as fields, and the command lines they make."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pplr_cli.config.options import argument, option, options_of, same_option, words


@dataclass(frozen=True)
class Request:
    kind: str
    source: tuple[Path, ...] = argument((), "Sources.", "SOURCE")
    size: int = option(3, "Size.", "-s", min=1)
    tags: tuple[str, ...] = option((), "Tags.", "--tag")
    fast: bool = option(True, "Speed.", "--fast/--slow")
    dry_run: bool = option(False, "Stop early.")


@dataclass(frozen=True, kw_only=True)
class Other:
    name: str = option(..., "Name.")
    size: int = same_option(Request, "size")


def test_the_fields_that_declare_an_option() -> None:
    options = options_of(Request)
    assert list(options) == ["source", "size", "tags", "fast", "dry_run"]
    assert options["source"].flags == ()
    assert options["size"] == (("--size", "-s"), {"help": "Size.", "min": 1})
    assert options["dry_run"].flags == ("--dry-run",)


def test_the_same_option_in_two_requests() -> None:
    assert options_of(Other)["size"] == options_of(Request)["size"]
    assert Other(name="x").size == 3
    with pytest.raises(TypeError, match="name"):
        Other()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Request("x"), []),
        (Request("x", size=5, dry_run=True), ["--size", "5", "--dry-run"]),
        (Request("x", fast=False), ["--slow"]),
        (
            Request("x", (Path("a"), Path("b c")), tags=("u", "v")),
            ["a", "b c", "--tag", "u", "--tag", "v"],
        ),
    ],
)
def test_the_words_of_a_command_line(wanted: Request, expected: list[str]) -> None:
    assert words(wanted) == expected
