"""Expected failures, and the one that wears many faces."""

import pytest

from pplr_cli.errors import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (OSError("out of memory error when reading image file"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("a damaged header"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_memory_that_ran_out_is_known_under_all_its_names(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected
