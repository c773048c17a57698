import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.data.layouts import DUKE, KNOWN, LAYOUTS, MARKET, MSMT17, VERI, Layout
from pplr_cli.data.manifest import Split


def official(pattern: str, name: str) -> list[int]:
    """The official loaders: search the pattern, turn its groups into numbers."""
    match = re.search(pattern, name)
    assert match
    return [int(group) for group in match.groups()]


@given(st.integers(-1, 9999), st.integers(1, 8), st.integers(1, 9), st.integers(0, 999999))
def test_market_names_read_as_the_official_loader_reads_them(
    identity: int, camera: int, sequence: int, frame: int
) -> None:
    name = f"{identity:04d}_c{camera}s{sequence}_{frame:06d}_01.jpg"
    match = MARKET.rule.pattern.search(name)
    assert match
    assert [int(match["identity"]), int(match["camera"])] == official(r"([-\d]+)_c(\d)", name)


@given(st.integers(-1, 9999), st.integers(1, 8), st.integers(0, 9999999))
def test_duke_names_read_as_the_official_loader_reads_them(
    identity: int, camera: int, frame: int
) -> None:
    name = f"{identity:04d}_c{camera}_f{frame:07d}.jpg"
    match = DUKE.rule.pattern.search(name)
    assert match
    assert [int(match["identity"]), int(match["camera"])] == official(r"([-\d]+)_c(\d)", name)


@given(st.integers(-1, 776), st.integers(1, 20), st.integers(0, 99999999), st.integers(0, 9))
def test_veri_names_read_as_the_official_loader_reads_them(
    identity: int, camera: int, frame: int, index: int
) -> None:
    name = f"{identity:04d}_c{camera:03d}_{frame:08d}_{index}.jpg"
    match = VERI.rule.pattern.search(name)
    assert match
    assert [int(match["identity"]), int(match["camera"])] == official(r"([-\d]+)_c(\d\d\d)", name)


@given(st.integers(0, 4101), st.integers(0, 999), st.integers(1, 15), st.integers(0, 9999))
def test_msmt17_names_read_as_the_official_loader_reads_them(
    identity: int, index: int, camera: int, frame: int
) -> None:
    name = f"{identity:04d}_{index:03d}_{camera:02d}_0303morning_{frame:04d}_0.jpg"
    match = MSMT17.rule.pattern.search(name)
    assert match
    pid, _, cam = official(r"([-\d]+)_([-\d]+)_([-\d]+)", name)
    assert (int(match["identity"]), int(match["camera"])) == (pid, cam)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_describes_the_three_splits_and_follows_its_own_example(
    layout: Layout,
) -> None:
    assert {source.split for source in layout.sources} == set(Split)
    assert set(layout.published) == set(Split)
    assert layout.rule.pattern.search(layout.rule.example)
    tree = layout.expected_tree()
    assert layout.folders[0] in tree
    assert all(names[0] in tree for names in layout.entries)


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
    assert KNOWN == ("market", "msmt17", "veri", "duke", "folder", "synthetic")
