"""The table of fault points follows the product."""

import pytest

from tests.faults.points import POINTS, find


@pytest.mark.parametrize("point", POINTS)
def test_every_point_is_a_function(point: str) -> None:
    assert callable(find(point)[2])
