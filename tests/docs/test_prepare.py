"""`docs/prepare.md` agrees with the layouts and limits of `pplr prepare`."""

import re

import pytest

from pplr_cli.data.decode import LARGEST_ASPECT, MOST_PIXELS, SMALLEST_SIDE
from pplr_cli.ingest.description import Layout
from pplr_cli.ingest.integrity import POOR_SIDE
from pplr_cli.ingest.layouts import KNOWN, LAYOUTS
from tests.docs.pages import text

PAGE = text("prepare.md")


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
