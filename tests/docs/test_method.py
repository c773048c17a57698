"""The files and functions in `docs/method.md` exist, and every loss is described."""

import ast
import re

from tests.docs import pages

PACKAGE = pages.DOCS.parent / "pplr_cli"
PAGE = pages.text("method.md")
NAMED = re.findall(r"`([a-z_/]+\.py)`(?:: ((?:`\w+`(?:, )?)+))?", PAGE)
"""Files on the page, each with the functions and classes named after it."""


def defined(file: str) -> set[str]:
    """Return the names of functions, classes and methods in a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_file_and_function_exists() -> None:
    assert len(NAMED) >= 15
    for file, names in NAMED:
        assert (PACKAGE / file).is_file(), file
        assert set(re.findall(r"\w+", names)) <= defined(file), file


def test_every_equation_names_its_function() -> None:
    equations = [line for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(equations) >= 10
    assert all(re.search(r"`\w+/\w+\.py`: `\w+`", line) for line in equations)


def test_every_loss_has_a_line() -> None:
    named = {
        name
        for file, names in NAMED
        if file == "engine/losses.py"
        for name in re.findall(r"\w+", names)
    }
    assert named == defined("engine/losses.py")
