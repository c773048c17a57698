"""`docs/index.md` lists every page once, and no link of any page is broken."""

import re

import pytest

from tests.docs import pages

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)")
PAGES = sorted(path.name for path in pages.DOCS.glob("*.md"))


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", pages.text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_stands_in_the_index_once() -> None:
    listed = re.findall(r"^\| \[[^]]+\]\(([\w-]+\.md)\) \|", pages.text("index.md"), re.MULTILINE)
    assert sorted(listed) == [page for page in PAGES if page != "index.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target, anchor in LINK.findall(pages.text(page)):
        assert not target or (pages.DOCS / target).is_file(), target
        assert not anchor or anchor in anchors(target or page), anchor
