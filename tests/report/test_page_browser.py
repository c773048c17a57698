"""The page of a run in a real browser; skipped where there is none."""

from collections.abc import Iterator

import pytest

from tests.conftest import Done
from tests.report.browser import Browser, find_browser

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

DESKTOP, PHONE = (1280, 900), (390, 844)
GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(str(PROGRAM), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def look(browser: Browser, done: Done, size: tuple[int, int], scheme: str) -> None:
    """Open the page on a screen of that size, light or dark."""
    width, height = size
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE,
    )  # fmt: skip
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    browser.open(done.folder / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_is_whole(
    browser: Browser, done: Done, size: tuple[int, int], scheme: str
) -> None:
    look(browser, done, size, scheme)
    assert browser.happened("Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    assert browser.happened("Log.entryAdded") == []
    requests = {
        event["request"]["url"].partition(":")[0]
        for event in browser.happened("Network.requestWillBeSent")
    }
    assert requests <= {"file", "data"}
    pictures = "[...document.images].map(i => i.complete && i.naturalWidth > 0)"
    assert len(browser.ask(pictures)) > 10
    assert all(browser.ask(pictures))
    drawn = "[...document.querySelectorAll('figure svg[role=img]')].map(s => s.getBBox().width)"
    assert len(browser.ask(drawn)) > 10
    assert min(browser.ask(drawn)) > 100
    assert browser.ask("document.documentElement.scrollWidth") <= size[0]
    assert browser.ask("parseFloat(getComputedStyle(document.body).fontSize)") >= 16


def test_light_is_light_and_dark_is_dark(browser: Browser, done: Done) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        look(browser, done, DESKTOP, scheme)
        grounds.append(sum(map(int, browser.ask(GROUND).strip("rgb()").split(","))) / 3)
    assert grounds[0] > 240
    assert grounds[1] < 40
