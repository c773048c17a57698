"""The package's layers: imports run one way, without circles, and only the top knows Typer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pplr_cli

ROOT = Path(pplr_cli.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    {"config", "distributed", "terminal"},
    {"data"},
    {"synthetic", "weights"},
    {"ingest", "labelling"},
    {"engine"},
    {"retrieval"},
    {"runs"},
    {"report", "export"},
    {"session"},
    {"api"},
    {"commands"},
    {"app"},
    {"__main__"},
)
"""From the bottom up; a layer may use those below it. Other files at the top of the package are
the bottom."""
TYPER = {"app", "commands"}
RICH = {"app", "commands", "terminal"}


def level(unit: str) -> int:
    """Return the layer of a folder or of a file at the top of the package, -1 = the bottom."""
    return next((n for n, layer in enumerate(LAYERS) if unit in layer), -1)


def imported(file: Path) -> Iterator[str]:
    """The dotted names that a file imports anywhere: `a.b` for `from a import b`.

    The package's own `__init__.py` names its API for type checkers; that is no import.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if file == ROOT / "__init__.py":
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def module(file: Path) -> str:
    """Return the dotted name of a file."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(("pplr_cli", *(part for part in parts if part != "__init__")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_one_way(file: Path) -> None:
    own = file.relative_to(ROOT).with_suffix("").parts[0]
    names = [name.split(".") for name in imported(file)]
    inside = {name[1] for name in names if name[0] == "pplr_cli"} - {own, "__version__"}
    higher = {unit for unit in inside if level(unit) > level(own) >= 0}
    assert not higher
    outside = {name[0] for name in names}
    assert own in TYPER or "typer" not in outside
    assert own in RICH or "rich" not in outside


def test_no_circles() -> None:
    modules = {module(file): set(imported(file)) for file in FILES}
    left = {name: {m for m in modules if m != name and _uses(m, u)} for name, u in modules.items()}
    while left:
        free = {name for name, uses in left.items() if not uses & set(left)}
        assert free, f"these import each other: {sorted(left)}"
        left = {name: uses for name, uses in left.items() if name not in free}


def _uses(name: str, imports: set[str]) -> bool:
    """Tell whether one of the imported names is a module or something in it."""
    return any(each == name or each.rpartition(".")[0] == name for each in imports)


def test_few_files_at_the_top() -> None:
    assert len(list(ROOT.glob("*.py"))) <= 16
