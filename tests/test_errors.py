"""Expected failures, and what of the system and of libraries is reported as one."""

import errno
import pickle

import pytest

from pplr_cli.errors import PplrError, StoppedError, UsageError, is_out_of_memory, known_failure


def test_known_failures_of_system_and_libraries() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "runs/x/last.pth")
    told = known_failure(full)
    assert told is not None
    assert (told.message, told.exit_code) == ("`runs/x/last.pth`: No space left on device", 1)
    nameless = known_failure(OSError(errno.ENOSPC, "No space left on device"))
    assert nameless is not None
    assert nameless.message == "No space left on device"
    out_of_memory = known_failure(type("OutOfMemoryError", (RuntimeError,), {})("CUDA"))
    assert out_of_memory is not None
    assert "batch.size" in str(out_of_memory.hint)
    memory = known_failure(MemoryError())
    assert memory is not None
    assert "engine.memory_gb" in str(memory.hint)
    other_torch = known_failure(RuntimeError("operator torchvision::nms does not exist"))
    assert other_torch is not None
    assert other_torch.message == (
        "`import torchvision` fails: operator torchvision::nms does not exist"
    )
    assert "must come from one release" in str(other_torch.hint)


@pytest.mark.parametrize("bug", [ValueError("x"), OSError("no number"), KeyError("x")])
def test_bugs_are_not_explained_away(bug: Exception) -> None:
    assert known_failure(bug) is None


def test_an_expected_failure_is_reported_as_it_is() -> None:
    error = UsageError("no such preset")
    assert known_failure(error) is error
    assert (error.exit_code, error.reported) == (2, False)


@pytest.mark.parametrize("error", [PplrError("a", "b"), StoppedError("a", 143, reported=True)])
def test_errors_travel_between_processes(error: PplrError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


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
