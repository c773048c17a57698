"""How a training run is started."""

import json
from typing import Any

import pytest
import torch

from pplr_cli.errors import DeviceError, ProcessError
from pplr_cli.runs.status import write_status
from pplr_cli.session import start
from pplr_cli.session.request import TrainingRequest
from tests.session.test_session import train


def test_a_missing_gpu_is_told_before_all_else(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="torch sees no GPU"):
        train(options, device="cuda", preset="lost.yaml")
    assert not options["run_dir"].exists()


@pytest.mark.parametrize(("state", "expected"), [("running", "failed"), ("finished", "finished")])
def test_the_launcher_writes_down_what_its_processes_could_not(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, state: Any, expected: str
) -> None:
    def killed(words: list[str], count: int) -> int:
        assert words == TrainingRequest(**options, devices=2).words()
        assert count == 2
        options["run_dir"].mkdir()
        write_status(options["run_dir"], state)
        raise ProcessError("process 1 of the run was killed by SIGKILL")

    monkeypatch.setattr(start, "launch", killed)
    with pytest.raises(ProcessError):
        train(options, devices=2)
    status = json.loads((options["run_dir"] / "status.json").read_text())
    assert status["state"] == expected
