import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pplr_cli.data.images import Split
from pplr_cli.ingest.description import Layout
from pplr_cli.ingest.layouts import DUKE, KNOWN, LAYOUTS, MARKET, MSMT17, VERI

Name = Callable[[int, int, int], str]
"""Formats identity, camera and some number as a release does."""


def padded(identity: int) -> str:
    return "-1" if identity == -1 else f"{identity:04d}"


def market_name(identity: int, camera: int, n: int) -> str:
    return f"{padded(identity)}_c{camera}s{n % 9}_{n:06d}_{n % 100:02d}.jpg"


def duke_name(identity: int, camera: int, n: int) -> str:
    return f"{padded(identity)}_c{camera}_f{n:07d}.jpg"


def veri_name(identity: int, camera: int, n: int) -> str:
    return f"{padded(identity)}_c{camera:03d}_{n:08d}_{n % 9}.jpg"


def msmt17_name(identity: int, camera: int, n: int) -> str:
    return f"{identity:04d}_{n % 1000:03d}_{camera:02d}_0303morning_{n:04d}_{n % 9}.jpg"


CASES = [
    pytest.param(MARKET, market_name, r"([-\d]+)_c(\d)", range(-1, 1502), range(1, 7), id="market"),
    pytest.param(DUKE, duke_name, r"([-\d]+)_c(\d)", range(-1, 10**9), range(1, 9), id="duke"),
    pytest.param(VERI, veri_name, r"([-\d]+)_c(\d\d\d)", range(-1, 777), range(1, 21), id="veri"),
    pytest.param(
        MSMT17, msmt17_name, r"([-\d]+)_[-\d]+_([-\d]+)", range(10**9), range(1, 16), id="msmt17"
    ),
]
"""Layout, its names, the official loader's pattern, the identities and cameras that may occur."""
layouts = pytest.mark.parametrize(("layout", "name", "official", "identities", "cameras"), CASES)


def within(numbers: range) -> st.SearchStrategy[int]:
    return st.integers(numbers[0], numbers[-1])


@layouts
@given(data=st.data(), n=st.integers(0, 999_999))
def test_what_is_formatted_is_read_back_as_the_official_loader_reads_it(
    layout: Layout,
    name: Name,
    official: str,
    identities: range,
    cameras: range,
    data: st.DataObject,
    n: int,
) -> None:
    expected = data.draw(within(identities)), data.draw(within(cameras))
    text = name(*expected, n)
    assert layout.rule.read(text) == expected
    match = re.search(official, text)
    assert match
    assert tuple(map(int, match.groups())) == expected


@layouts
@given(data=st.data())
def test_numbers_that_cannot_be_are_refused(
    layout: Layout,
    name: Name,
    official: str,
    identities: range,
    cameras: range,
    data: st.DataObject,
) -> None:
    identity, camera = data.draw(within(identities)), data.draw(within(cameras))
    stranger = data.draw(st.integers(identities.stop, 10**12))
    assert layout.rule.read(name(stranger, camera, 1)) is None
    if layout.rule.cameras is not None:
        nowhere = data.draw(st.just(0) | st.integers(cameras.stop, 10**12))
        person = max(identity, 0)
        assert layout.rule.read(name(person, nowhere, 1)) is None


@layouts
@given(text=st.text(max_size=30) | st.from_regex(r"-?\d+_c?\d+.{0,9}", fullmatch=True))
@example(text="")
@example(text="portrait.jpg")
@example(text="copy of 0002_c1s1_000451_03.jpg")
@example(text="0_c01")
@example(text="0_c123456789")
@example(text="٠٠٠٢_c1s1_000451_03.jpg")
def test_any_other_name_is_refused_or_read_as_the_official_loader_reads_it(
    layout: Layout, name: Name, official: str, identities: range, cameras: range, text: str
) -> None:
    found = layout.rule.read(text)
    if found is None:
        return
    match = re.match(official, text)
    assert match
    assert int(match[1]) == found[0] in identities
    # The official patterns take one digit of the camera; these take the whole number.
    written = re.match(r"\d+", text[match.start(2) :], re.ASCII)
    assert written
    assert int(written[0]) == found[1]
    assert written[0].startswith(match[2])
    assert layout.rule.cameras is None or found[1] in layout.rule.cameras


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_describes_the_three_splits_and_follows_its_own_example(
    layout: Layout,
) -> None:
    splits = [part.split for part in layout.parts]
    assert splits == list(Split)
    assert layout.rule.read(layout.rule.example)
    tree = layout.expected_tree()
    assert layout.folders[0] in tree
    assert all(names[0] in tree for names in layout.entries)


def test_rules_tell_their_ranges() -> None:
    assert MARKET.rule.ranges == ", identities 0 to 1501, cameras 1 to 6"
    assert DUKE.rule.ranges == ", cameras 1 to 8"
    assert MSMT17.rule.ranges == ""


def test_msmt17_needs_both_folders_and_all_four_lists_once() -> None:
    assert MSMT17.entries == (
        ("train", "mask_train_v2"),
        ("test", "mask_test_v2"),
        ("list_train.txt",),
        ("list_val.txt",),
        ("list_query.txt",),
        ("list_gallery.txt",),
    )


def test_known_layouts_are_what_prepare_offers() -> None:
    public = (
        "market",
        "msmt17",
        "veri",
        "duke",
        "cuhk03",
        "personx",
        "mars",
        *("vehicleid", "vehicleid-1600", "vehicleid-2400"),
        *("veriwild", "veriwild-5000", "veriwild-10000"),
    )
    assert (*public, "folder", "mot", "synthetic") == KNOWN
