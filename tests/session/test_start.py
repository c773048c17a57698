"""How a training run is started."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.app import run
from pplr_cli.errors import DeviceError, ProcessError
from pplr_cli.runs.records import Run
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


def test_runs_without_a_named_folder_do_not_collide(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    short = ("optim.epochs=1", "optim.iters=1", "evaluation.at_start=false")
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data), "--workers", "1"]
    words = ["train", *options, *(word for each in short for word in ("--set", each))]
    other = ["--set", "optim.lr=0.001"]
    assert run(words) == 0
    assert "run folder" not in capsys.readouterr().err
    before = {path: path.read_bytes() for path in Path("runs").rglob("*.p*")}
    assert run([*words, *other]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith(
        "run folder: `runs/tiny-train-2`, as `runs/tiny-train` contains a run with other settings\n"
    )
    assert "weights: runs/tiny-train-2/best.pth" in shown.out
    assert run([*words, *other]) == run(words) == 2  # finished runs are kept
    assert run([*words, *other, "--resume", "--set", "optim.epochs=2"]) == 0
    assert Run(Path("runs/tiny-train-2")).rows[-1]["epoch"] == 2
    assert {path: path.read_bytes() for path in before} == before
