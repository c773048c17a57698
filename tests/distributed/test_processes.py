"""One, two and four processes compute the same."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.distributed.failures import Failure
from pplr_cli.distributed.processes import ALONE, Processes, _connection
from pplr_cli.errors import DataError, ProcessError

ROOT = Path(__file__).parents[2]

Steps = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def steps(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Steps]:
    """Return what a number of processes computed: 1, 2 or 4."""
    folder = tmp_path_factory.mktemp("steps")
    program = [sys.executable, "-m", "tests.shared_steps"]
    program += [str(tiny_data / "tiny" / "manifest.json"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(program, cwd=ROOT, env=environment, check=True, capture_output=True)
    return lambda count: dict(torch.load(folder / f"{count}.pt", weights_only=True))


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("mode", ["train", "train-cam"])
def test_several_processes_take_the_steps_of_one(
    steps: Callable[[int], Steps], count: int, mode: str
) -> None:
    one, several = steps(1)[mode], steps(count)[mode]
    assert len(one["losses"]) == 20
    torch.testing.assert_close(several["losses"], one["losses"], rtol=0, atol=1e-5)
    for ours, theirs in zip(several["labels"], one["labels"], strict=True):
        assert torch.equal(ours, theirs)
    for name, weight in one["weights"].items():  # running statistics among them
        torch.testing.assert_close(several["weights"][name], weight, rtol=1e-6, atol=1e-6)


def test_the_modes_and_epochs_differ(steps: Callable[[int], Steps]) -> None:
    found = steps(1)
    assert not torch.equal(found["train"]["losses"], found["train-cam"]["losses"])
    assert not torch.equal(*found["train"]["labels"])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 4, 10])
def test_shares_follow_each_other_and_are_as_equal_as_can_be(size: int, count: int) -> None:
    processes = Processes()
    processes.size = size
    shares = [list(range(count))[processes.share(count, rank)] for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_does_all_itself() -> None:
    assert ALONE.first
    assert ALONE.gather(1) == [1]
    assert ALONE.on_rank_zero(lambda: "x") == "x"
    assert ALONE.largest(7) == 7
    error = DataError("gone")
    assert ALONE.first_failure(error) == Failure(0, error)


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_a_failure_of_the_own_gpu_is_not_blamed_on_others(kind: type[RuntimeError]) -> None:
    with pytest.raises(kind, match="of this process"), _connection():
        raise kind("of this process")
    with pytest.raises(ProcessError, match="another process"), _connection():
        raise RuntimeError("[gloo] Connection closed by peer")
