"""The review page in a real browser, by keys and by touch; skipped where there is none."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.review import Closure
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.stage import label
from pplr_cli.progress import Silent
from pplr_cli.report.review import write_review
from pplr_cli.runs.relabel import Clustered, cluster_again
from pplr_cli.runtime import Runtime
from tests.conftest import Done
from tests.report.browser import Browser, find_browser

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

DESKTOP, PHONE = (1280, 900), (390, 844)
PAIRS = 60


class Page(NamedTuple):
    """A page, the clusters that it shows, and its embedded data."""

    file: Path
    clustered: Clustered
    data: dict[str, Any]


@pytest.fixture(scope="module", params=["images", "tracks"])
def page(
    request: pytest.FixtureRequest, done: Done, tmp_path_factory: pytest.TempPathFactory
) -> Page:
    """The review page of the tiny run, which has no tracks, or one for each visit."""
    clustered = cluster_again(done.folder, Runtime(workers=1, cache=False))
    if request.param == "tracks":
        images = clustered.images
        times = np.arange(len(images), dtype=np.float64)
        tracks = Tracks.from_arrays(images.identities, images.cameras, times)
        used = clustered.config.clustering, clustered.config.agreement
        pseudo = label(clustered.features, images.cameras, *used, tracks=tracks)
        clustered = clustered._replace(tracks=tracks, pseudo=pseudo)
    file = tmp_path_factory.mktemp("page") / "review.html"
    write_review(file, done.folder, clustered, PAIRS, 5)
    text = file.read_text()
    data = text.partition('id="data">')[2].partition("</script>")[0]
    return Page(file, clustered, json.loads(data))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(str(PROGRAM), tmp_path / "profile") as browser:
        folder = str(tmp_path / "saved")
        browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=folder)
        yield browser


def show(browser: Browser, page: Page, size: tuple[int, int] = DESKTOP) -> None:
    width, height = size
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE,
    )  # fmt: skip
    browser.call("Emulation.setTouchEmulationEnabled", enabled=size == PHONE)
    browser.open(page.file)


def press(browser: Browser, key: str) -> None:
    code = {"key": key, "code": f"Key{key.upper()}", "windowsVirtualKeyCode": ord(key.upper())}
    browser.call("Input.dispatchKeyEvent", type="keyDown", text=key, **code)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **code)


def tap(browser: Browser, selector: str, number: int = 0) -> None:
    """Touch the middle of an element, after scrolling to it."""
    found = f"document.querySelectorAll('{selector}')[{number}]"
    browser.ask(f"{found}.scrollIntoView({{block: 'center'}}) || 1")
    box = browser.ask(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                      f"({found}.getBoundingClientRect())")  # fmt: skip
    point = {"x": box[0], "y": box[1]}
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[point])
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def paths(browser: Browser) -> list[str]:
    """Return the paths of the question; none at the end."""
    found = browser.ask("[...document.querySelectorAll('.side > img')].map(i => i.alt)")
    return list(found)


def progress(browser: Browser) -> str:
    return str(browser.ask("document.getElementById('progress').textContent"))


def saved(browser: Browser, folder: Path) -> Path:
    browser.ask("document.getElementById('save').click() || 1")
    deadline = time.monotonic() + 20
    while not (found := list(folder.glob("*.csv"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found[0]


def item_of(page: Page) -> dict[str, int]:
    return {image["path"]: image["item"] for image in page.data["images"]}


def identity_of(page: Page) -> dict[str, int]:
    images = page.clustered.images
    return dict(zip(images.paths, images.identities.tolist(), strict=True))


def load(page: Page, file: Path) -> Answers:
    tracks = page.clustered.tracks
    of = None if tracks is None else tracks.of
    return read_answers(file, page.clustered.images.paths, of, Silent())


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_is_complete_and_offline(
    browser: Browser, page: Page, size: tuple[int, int]
) -> None:
    show(browser, page, size)
    assert browser.happened("Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    assert browser.happened("Log.entryAdded") == []
    requests = {
        event["request"]["url"].partition(":")[0]
        for event in browser.happened("Network.requestWillBeSent")
    }
    assert requests <= {"file", "data"}
    for tab in ("pairs", "clusters"):
        browser.ask(f"document.getElementById('show-{tab}').click() || 1")
        pictures = browser.ask("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
        assert len(pictures) >= 2
        assert browser.ask("document.documentElement.scrollWidth") <= size[0]
        heights = browser.ask(
            f"[...document.querySelectorAll('.bar button, #{tab} button')]"
            ".map(b => b.getBoundingClientRect().height)"
        )
        assert min(heights) >= 40


def test_keys_answer_what_earlier_answers_leave_open(
    browser: Browser, page: Page, tmp_path: Path
) -> None:
    """The page asks exactly the pairs, in order, that a slow closure leaves open."""
    show(browser, page)
    items, identities = item_of(page), identity_of(page)
    images, closure = page.data["images"], Closure()
    asked = []
    for pair in page.data["pairs"]:
        one, other = (images[number]["path"] for number in pair)
        if closure.decided(items[one], items[other]):
            continue
        assert paths(browser) == [one, other]
        same = identities[one] == identities[other]
        if len(asked) % 7 == 3:
            press(browser, "d" if same else "s")  # a slip of the finger
            press(browser, "z")
            assert paths(browser) == [one, other]
        press(browser, "s" if same else "d")
        closure.add(items[one], items[other], same=same)
        asked.append([one, other, "same" if same else "different"])
    assert len(asked) > 10
    assert paths(browser) == []
    assert progress(browser) == f"{len(asked)} answers here, 0 pairs left"
    file = saved(browser, tmp_path / "saved")
    with file.open() as opened:
        assert list(csv.reader(opened)) == [["path_a", "path_b", "answer"], *asked]
    answers = load(page, file)
    assert len(answers.same) + len(answers.different) == len(asked)


def test_answers_outlive_the_page(browser: Browser, page: Page) -> None:
    show(browser, page)
    first = paths(browser)
    press(browser, "u")
    second = paths(browser)
    assert second != first
    time.sleep(0.5)  # the browser stores values a moment later
    show(browser, page)
    assert paths(browser) == second
    assert progress(browser).startswith("1 answer here")
    press(browser, "z")
    assert paths(browser) == first


def test_touch_answers_on_a_phone(browser: Browser, page: Page) -> None:
    show(browser, page, PHONE)
    first = paths(browser)
    for name in ("same", "different", "unsure"):
        tap(browser, f"#{name}")
        assert paths(browser) != first
        tap(browser, "#undo")
        assert paths(browser) == first


def test_split_by_keys(browser: Browser, page: Page) -> None:
    """Tab, Space and Enter are enough, and the focus stays where it is."""
    show(browser, page)
    tap_key = {"Tab": 9, "Enter": 13, " ": 32}

    def hit(key: str) -> None:
        text = {"Enter": "\r", " ": " "}.get(key)
        code = {"key": key, "windowsVirtualKeyCode": tap_key[key]}
        more = {} if text is None else {"text": text}
        browser.call("Input.dispatchKeyEvent", type="keyDown", **code, **more)
        browser.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def focused() -> str:
        return str(browser.ask("document.activeElement.id"))

    def reach(wanted: str) -> None:
        for _ in range(200):
            if focused().startswith(wanted):
                return
            hit("Tab")
        raise AssertionError(wanted)

    reach("show-clusters")
    hit("Enter")
    reach("pick-")
    chosen = focused()
    hit(" ")
    assert focused() == chosen
    assert browser.ask("document.querySelectorAll('[aria-pressed=true].pick').length") == 1
    hit("Tab")
    second = focused()
    hit(" ")
    assert focused() == second
    reach("show-pairs")  # around the end of the page
    reach("split-")
    hit("Enter")
    assert progress(browser).startswith("1 answer here")
    press(browser, "z")
    assert progress(browser).startswith("0 answers here")


def test_split_and_merge_by_touch(browser: Browser, page: Page, tmp_path: Path) -> None:
    show(browser, page, PHONE)
    tap(browser, "#show-clusters")
    cards = "[...document.querySelectorAll('.card')].map(c => c.querySelectorAll('.pick').length)"
    before = browser.ask(cards)
    assert before == [len(cluster["images"]) for cluster in page.data["clusters"]]
    tap(browser, ".card .pick", 1)
    tap(browser, ".card .pick", 0)
    tap(browser, ".card header button")
    assert browser.ask(cards) == [before[0] - 2, 2, *before[1:]]
    tap(browser, ".card:nth-child(2) header button:last-child")
    labels = (
        "[...document.querySelectorAll('.card header button:last-child')].map(b => b.textContent)"
    )
    assert browser.ask(labels) == ["Merge here", "Cancel", *["Merge here"] * len(before[1:])]
    tap(browser, ".card:nth-child(3) header button:last-child")
    message = "document.getElementById('message').textContent"
    assert browser.ask(message) == ""
    assert browser.ask(cards) == [before[0] - 2, 2 + before[1], *before[2:]]
    tap(browser, ".card header button:last-child")
    tap(browser, ".card:nth-child(2) header button:last-child")
    assert "contradicts" in browser.ask(message)
    assert progress(browser).startswith("2 answers here")

    found = load(page, saved(browser, tmp_path / "saved"))
    assert len(found.same) == 1 + before[1]
    assert len(found.different) == before[0] - 2
    tap(browser, "#undo-split")
    tap(browser, "#undo-split")
    assert browser.ask(cards) == before
