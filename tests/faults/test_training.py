"""Training that goes wrong ends before it overwrites good weights, or has a defined result."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.conftest import Runs, camera_mode, outcome, status
from tests.faults.points import Fault

Undisturbed = tuple[str, dict[str, Any], float]

RARELY = ("--set", "engine.save_minutes=60")


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def is_finite(path: Path) -> bool:
    content = torch.load(path, weights_only=True)
    tensors = content.get("network", content).values()
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


@pytest.mark.parametrize(("what", "count"), [("no clusters", 0), ("one cluster", 1)])
def test_too_few_clusters_end_the_run_at_once(
    runs: Runs, tmp_path: Path, what: str, count: int
) -> None:
    process = runs.start(tmp_path / "run", faults=(Fault("cluster", 0, what),))
    assert process.wait() == 1
    assert f"error: epoch 1: clustering found {count} clusters among 96 images" in process.text
    assert "hint: raise `clustering.eps`" in process.text
    assert status(tmp_path / "run")["code"] == 1


def test_many_small_clusters_grow_the_classifiers_and_are_counted(
    runs: Runs, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, faults=(Fault("cluster", 0, "pairs"),))
    assert process.wait() == 0, process.text
    assert [row["clusters_small"] for row in rows(folder)[1:]] == [48, 48]
    weights = torch.load(folder / "last.pth", weights_only=True)
    assert {len(value) for name, value in weights.items() if "classifier" in name} == {48}


@camera_mode
@pytest.mark.parametrize(
    ("fault", "more", "message"),
    [
        (Fault("losses", 6, "nan loss"), (), "step 2: the loss is nan"),
        (Fault("losses", 6, "nan loss"), RARELY, "step 2: the loss is nan"),
        (Fault("step", 6, "infinite weights"), (), "NaN or inf"),
    ],
)
def test_numbers_that_are_not_finite_are_never_saved(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path, fault: Fault, more: tuple[str, ...],
    message: str,
) -> None:  # fmt: skip
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    process = runs.start(folder, *more, mode=mode, faults=(fault,))
    assert process.wait() == 1
    assert "error: epoch 2" in process.text
    assert message in process.text
    if "loss" in message:
        assert "; its images: `train/" in process.text
    assert status(folder)["state"] == "failed"
    for path in (*folder.glob("*.pth"), *folder.glob("state*.pt")):
        assert is_finite(path), path
    assert runs.start(folder, "--resume", mode=mode).wait() == 0
    assert outcome(folder) == expected


def test_a_map_of_zero_still_has_best_weights(runs: Runs, tmp_path: Path) -> None:
    process = runs.start(tmp_path / "run", faults=(Fault("evaluate", 0, "no score"),))
    assert process.wait() == 0, process.text
    assert [row["mAP"] for row in rows(tmp_path / "run")] == [0, 0, 0]
    best = torch.load(tmp_path / "run" / "best.pth", weights_only=True)
    assert best._metadata["pplr"]["epoch"] == 0


def test_out_of_memory_of_the_gpu(runs: Runs, tmp_path: Path) -> None:
    process = runs.start(tmp_path / "run", faults=(Fault("step", 3, "out of memory"),))
    assert process.wait() == 1
    assert "error: the GPU ran out of memory\nhint: a smaller `--set batch.size" in process.text
    assert "Traceback" not in process.text
    assert status(tmp_path / "run")["reason"] == "the GPU ran out of memory"


@camera_mode
def test_a_clock_set_back_and_an_odd_time_zone(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    mode, expected, _ = undisturbed
    folder = tmp_path / "run"
    fault = Fault("step", 2, "clock backwards")
    process = runs.start(folder, mode=mode, faults=(fault,), TZ="Nowhere/Odd-14:45")
    assert process.wait() == 0, process.text
    assert outcome(folder) == expected
    seconds = [value for row in rows(folder) for key, value in row.items() if "seconds" in key]
    assert all(value >= 0 for value in seconds)
    assert status(folder)["time"].endswith("+00:00")


def test_a_lengthened_run_equals_one_that_was_long_from_the_start(
    runs: Runs, tmp_path: Path
) -> None:
    long = ("--set", "optim.epochs=3")
    whole = runs.start(tmp_path / "whole", *long, mode="train-cam")
    assert runs.start(tmp_path / "run", mode="train-cam").wait() == 0
    more = runs.start(tmp_path / "run", "--resume", *long, mode="train-cam")
    assert more.wait() == 0, more.text
    assert "the run is lengthened: `optim.epochs` was 2, is 3\n" in more.text
    assert whole.wait() == 0
    assert len(rows(tmp_path / "run")) == 4
    best, other = (
        torch.load(tmp_path / name / "best.pth", weights_only=True) for name in ("whole", "run")
    )
    assert all(torch.equal(best[name], other[name]) for name in best)
    long_run, lengthened = outcome(tmp_path / "whole"), outcome(tmp_path / "run")
    del long_run["best.pth"], lengthened["best.pth"]  # they may contain the number of epochs
    assert lengthened == long_run
