"""`docs/prepare.md` agrees with the layouts, limits and JSON fields of `pplr prepare`."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pplr_cli.app import app
from pplr_cli.data.decode import LARGEST_ASPECT, MOST_PIXELS, SMALLEST_SIDE
from pplr_cli.ingest.description import Layout
from pplr_cli.ingest.integrity import POOR_SIDE
from pplr_cli.ingest.layouts import KNOWN, LAYOUTS
from tests.docs.pages import text

Plant = Callable[[Path, Iterable[str]], Path]
PAGE = text("prepare.md")


def fields(column: int) -> set[str]:
    """Return the JSON fields that a column of the page's table promises."""
    rows = [line.split("|")[1:-1] for line in PAGE.partition("## `--json`")[2].splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if row]
    return {
        name for row in cells if row[column] == "yes" for name in re.findall(r"`(\w+)`", row[0])
    }


def test_the_fields_of_the_documents(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "crops", ["a.jpg", "b.jpg"])
    where = ["--data-dir", str(tmp_path / "data"), "--json"]
    crops = str(tmp_path / "crops")
    prepared = CliRunner().invoke(app, ["prepare", "folder", crops, "--name", "shop", *where])
    assert set(json.loads(prepared.stdout)) == fields(1)
    checked = CliRunner().invoke(app, ["prepare", "shop", "--check", *where])
    assert set(json.loads(checked.stdout)) == fields(2)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_described(layout: Layout) -> None:
    (row,) = re.findall(rf"^\| [^|]*`{layout.name}`.*", PAGE, re.MULTILINE)
    assert f"`{layout.folders[0]}`" in row
    assert f"`{layout.rule.example}`" in row


def test_all_layouts_and_limits_are_named() -> None:
    layouts = PAGE.partition("## Layouts")[2].partition("Names are read")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", layouts, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == set(KNOWN)
    assert f"more than {MOST_PIXELS:,} pixels" in PAGE
    assert f"under {SMALLEST_SIDE} pixels wide or high" in PAGE
    assert f"more than {LARGEST_ASPECT} times the other" in PAGE
    assert f"Images under {POOR_SIDE} pixels" in PAGE
