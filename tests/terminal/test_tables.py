"""Tables that fit a terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pplr_cli.terminal.tables import fit_table

SCORES = [
    ["market", "mAP", "rank-1", "rank-5"],
    ["runs/market-train/best.pth", "81.5", "92.8", "97.1"],
    ["paper, as reported, without camera labels", "81.5", "92.8", "97.1"],
]
PLAN = [
    ["what", "value"],
    ["data set", "market at /data/market"],
    ["label stage, above the features", "0.20 GB"],
    ["memory budget", "10.20 GB (half of what is free at this moment on this machine)"],
]


def lines(grid: list[list[str]], room: int | None) -> list[str]:
    console = Console(file=io.StringIO(), width=room, force_terminal=room is not None)
    return [line.plain for line in fit_table(console, grid[0], grid[1:])]


def test_without_a_limit_nothing_wraps() -> None:
    assert lines(SCORES, None) == lines(SCORES, 200)
    assert lines(PLAN, None)[3] == (
        "memory budget                    10.20 GB (half of what is free at this moment on this "
        "machine)"
    )


def test_cells_wrap_between_words_from_the_widest_column() -> None:
    assert lines(SCORES, 60) == [
        "market                                   mAP  rank-1  rank-5",
        "runs/market-train/best.pth              81.5    92.8    97.1",
        "paper, as reported, without camera      81.5    92.8    97.1",
        "labels",
    ]
    assert lines(PLAN, 60)[2:] == [
        "label stage, above the        0.20 GB",
        "features",
        "memory budget                 10.20 GB (half of what is free",
        "                              at this moment on this",
        "                              machine)",
    ]


def test_where_words_are_too_long_rows_become_lists() -> None:
    assert lines(SCORES, 30) == [
        "runs/market-train/best.pth",
        "  mAP: 81.5",
        "  rank-1: 92.8",
        "  rank-5: 97.1",
        "paper, as reported, without camera labels",
        "  mAP: 81.5",
        "  rank-1: 92.8",
        "  rank-5: 97.1",
    ]


@given(
    grid=st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.lists(st.text("ab 日1.", max_size=25), min_size=columns, max_size=columns),
            min_size=1,
            max_size=5,
        )
    ),
    room=st.integers(5, 80),
)
def test_every_word_is_printed_in_one_piece(grid: list[list[str]], room: int) -> None:
    printed = " ".join(lines(grid, room)).split()
    words = [word for row in grid[1:] for cell in row for word in cell.split()]
    for word in words:
        assert any(word in part for part in printed)
    longest = max([cell_len(word) for row in grid for cell in row for word in cell.split()] + [1])
    if longest * len(grid[0]) + 2 * len(grid[0]) < room:
        assert all(cell_len(line) <= room for line in lines(grid, room))


@pytest.mark.parametrize("room", [60, 80])
def test_tables_of_a_single_word_are_left_alone(room: int) -> None:
    assert lines([["path"], ["x" * 200]], room)[-1] == "x" * 200
