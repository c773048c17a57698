"""The package's layers: imports run one way, and only the top knows the command line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pplr_cli

ROOT = Path(pplr_cli.__file__).parent
BOTTOM = {path.stem for path in ROOT.glob("*.py")} - {"__main__", "app", "console", "live"}
BELOW = {"data": BOTTOM, "weights": BOTTOM}
BELOW["engine"] = BOTTOM | {"data", "weights"}
BELOW["retrieval"] = BOTTOM | {"data", "engine"}
BELOW["report"] = BELOW["retrieval"] | {"retrieval"}
BELOW["console"] = BOTTOM | {"live"}
BELOW["commands"] = BELOW["report"] | {"report", "weights", "console"}
BELOW["app"] = BOTTOM | {"commands", "console"}
BELOW["__main__"] = {"app"}
KNOW_THE_TERMINAL = {"app", "commands", "console", "live"}


def imported(file: Path) -> Iterator[str]:
    """The dotted names that a file imports anywhere: `a.b` for `from a import b`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)


@pytest.mark.parametrize(
    "file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_imports_run_one_way(file: Path) -> None:
    own = file.relative_to(ROOT).with_suffix("").parts[0]
    names = [name.split(".") for name in imported(file)]
    inside = {name[1] for name in names if name[0] == "pplr_cli"} - {own, "__version__"}
    assert inside <= BELOW.get(own, BOTTOM)
    assert own in KNOW_THE_TERMINAL or not {"typer", "rich"} & {name[0] for name in names}


def test_the_bottom_row_has_no_circles() -> None:
    left = {name: set(imported(ROOT / f"{name}.py")) for name in BOTTOM}
    while left:
        free = {
            n
            for n, uses in left.items()
            if not any(f"pplr_cli.{m}" in u for u in uses for m in left)
        }
        assert free, f"these import each other: {sorted(left)}"
        left = {name: uses for name, uses in left.items() if name not in free}
