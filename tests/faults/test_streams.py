"""Training goes on, and writes its log, when its output cannot be written or is not read."""

from pathlib import Path

import pytest

from tests.faults.conftest import Runs, in_second_step, status
from tests.faults.points import Fault


@pytest.mark.parametrize(("what", "code"), [("streams left", 0), ("streams full", 1)])
def test_streams_that_fail_in_the_middle(runs: Runs, tmp_path: Path, what: str, code: int) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, faults=(Fault("step", 2, what),))
    assert process.wait() == code
    log = (folder / "log.txt").read_text()
    assert "epoch 2/2: " in log
    assert "weights: " in log
    assert "epoch 1/2" not in process.text
    assert status(folder)["state"] == "finished"


@pytest.mark.parametrize(("streams", "code"), [("closed", 0), ("left", 0), ("full", 1)])
def test_streams_that_fail_from_the_start(
    runs: Runs, tmp_path: Path, streams: str, code: int
) -> None:
    folder = tmp_path / "run"
    process = runs.start(folder, STREAMS=streams)
    assert process.wait() == code
    assert "weights: " in (folder / "log.txt").read_text()
    assert status(folder)["state"] == "finished"
    assert "weights: " not in process.text


def test_without_a_terminal_there_are_no_codes_and_no_bars(runs: Runs, tmp_path: Path) -> None:
    process = in_second_step(runs, tmp_path / "run")
    assert process.wait() == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    for text in (process.text, log):
        assert "epoch 2/2: " in text
        assert not {"\x1b", "\r", "\u2501"} & set(text)
