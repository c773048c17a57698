"""Work on blocks of distances by rows."""

import numpy as np
import pytest

from pplr_cli.parallel import ROWS, Lists, by_rows


@pytest.mark.parametrize("queries", [1, ROWS, 2 * ROWS + 3])
def test_every_row_is_worked_on_once_with_its_number(queries):
    block = np.arange(queries, dtype=np.float32)[:, None]
    done = by_rows(lambda rows, first: rows[:, 0] + 1000 * (rows[0, 0] == first - 7), block, 7)
    np.testing.assert_array_equal(np.concatenate(done), np.arange(queries) + 1000)
    assert max(map(len, done)) <= ROWS


def test_failures_of_threads_are_raised():
    with pytest.raises(ZeroDivisionError):
        by_rows(lambda rows, first: 1 // 0, np.zeros((3, 2), np.float32), 0)


def test_lists_stand_one_after_the_other():
    begin, images = Lists.of([np.array([4, 2]), np.array([], np.int64), np.array([1])])
    assert begin.tolist() == [0, 2, 2, 3]
    assert images.tolist() == [4, 2, 1]
    assert Lists.of([]).images.dtype == np.int64
