"""The table of faults in `docs/reliability.md` names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
ROWS = [*range(1, 4), *range(6, 13), *range(14, 26), *range(57, 74), *range(76, 83)]


def table() -> dict[int, str]:
    """Return the table's lines by the number of the fault."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return {int(found[1]): line for line in lines if (found := re.match(r"\| (\d+) \|", line))}


def test_every_fault_has_a_line_and_every_line_but_one_a_test() -> None:
    assert list(table()) == ROWS
    assert [number for number, line in table().items() if "::test_" not in line] == [67]


def test_every_test_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", "".join(table().values()))
    assert len(named) > 60
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
