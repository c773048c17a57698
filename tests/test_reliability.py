"""Check that the list of faults in `docs/reliability.md` is complete and names real tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FAULTS = re.findall(r"^- \*\*.*$", PAGE.partition("## Faults and tests")[2], re.MULTILINE)
NAMED = set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", "".join(FAULTS)))
APART = {
    "test_devices_start_processes",
    "test_every_point_is_a_function",
    "test_processes_that_cannot_share_a_batch_are_refused_before_they_start",
}
"""Tests in tests/faults that produce no fault."""


def names_in(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_fault_names_its_tests() -> None:
    assert len(FAULTS) >= 40
    assert [line for line in FAULTS if "::test_" not in line] == []


def test_every_test_named_exists() -> None:
    assert len(NAMED) > 60
    missing = [(f, name) for f, name in NAMED if name not in names_in(ROOT / "tests" / f)]
    assert missing == []


def test_every_test_that_produces_a_fault_is_named() -> None:
    folder = ROOT / "tests" / "faults"
    tests = {name for file in folder.glob("test_*.py") for name in names_in(file)}
    assert tests - APART - {name for _, name in NAMED} == set()
