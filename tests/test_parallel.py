"""Row-parallel loops."""

import pytest

from pplr_cli.parallel import by_blocks


@pytest.mark.parametrize("rows", [0, 1, 64, 131])
def test_every_row_is_in_one_block_and_results_are_in_order(rows):
    done = by_blocks(rows, lambda first, end: list(range(first, end)), 64)
    assert [row for block in done for row in block] == list(range(rows))
    assert all(len(block) <= 64 for block in done)


def test_failures_of_threads_are_raised():
    with pytest.raises(ZeroDivisionError):
        by_blocks(3, lambda first, end: 1 // 0, 2)
