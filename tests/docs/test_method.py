"""`docs/method.md` names files and functions that exist, and every step of the loop."""

import ast
import re

from tests.docs import pages

PACKAGE = pages.DOCS.parent / "pplr_cli"
PAGE = pages.text("method.md")
NAMED = re.findall(r"`([a-z_/]+\.py)`(?:: ((?:`\w+`(?:, )?)+))?", PAGE)
"""Each file of the page with the functions and classes that follow it."""


def defined(file: str) -> set[str]:
    """Return the names that a file defines, those of methods too."""
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
