"""The CI job of docs/ci.md is valid, and its shell lines run at tiny size."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import pplr_cli
from pplr_cli.app import run
from tests.docs.pages import blocks, plant_demo

ASK = """#!/bin/sh
printf '%s\\n' "$@" > asked
cat said
exit "$(cat code)"
"""
"""A `pplr` that lets the process of the test do the work."""
OUTSIDE = """#!/bin/sh
exec "{python}" -m pplr_cli "$@"
"""
"""A `pplr` that runs in its own process."""


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    (block,) = blocks("ci.md", "yaml")
    (job,) = yaml.safe_load(block)["jobs"].values()
    assert isinstance(job, dict)
    return job


@pytest.fixture
def project(tmp_path: Path, tiny_data: Path, tiny_preset: Path) -> Path:
    """A checkout whose data folder has the tiny data set under the name `demo`."""
    plant_demo(tiny_data, tmp_path / "data")
    preset = tiny_preset.read_text().replace("name: tiny", "name: demo")
    (tmp_path / "small.yaml").write_text(preset)
    return tmp_path


def run_lines(
    steps: list[dict[str, Any]], project: Path, env: dict[str, str], program: str = ASK
) -> list[int]:
    """Run the shell lines of steps as GitHub does; return the exit codes."""
    codes: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        Path("bin").mkdir(exist_ok=True)
        Path("bin/pplr").write_text(program.format(python=sys.executable))
        Path("bin/pplr").chmod(0o755)
        patch.setenv("PATH", f"{project}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(Path(pplr_cli.__file__).parents[1]))
        for name, value in env.items():
            patch.setenv(name, value)
        for step in steps:
            if "if" in step or not any(codes):
                codes.append(run_step(step["run"]))
    return codes


def run_step(lines: str) -> int:
    """Run the lines of one step, and their `pplr` commands in this process."""
    for name in ("asked", "said"):
        Path(name).unlink(missing_ok=True)
        os.mkfifo(name)
    command = ["sh", "-c", 'bash -e -o pipefail -c "$1"; code=$?; : > asked; exit $code', "", lines]
    with subprocess.Popen(command, start_new_session=True) as shell:
        try:
            while words := Path("asked").read_text().splitlines():
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    Path("code").write_text(str(run(words)))
                Path("said").write_text(said.getvalue())
        except BaseException:
            os.killpg(shell.pid, signal.SIGKILL)  # it waits for what is said
            raise
    return shell.returncode


def test_every_step_either_runs_or_uses_something(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert step.get("if", "always()") == "always()"
    uses = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert {"actions/checkout", "actions/cache", "actions/upload-artifact"} <= set(uses)
    cached = next(s for s in job["steps"] if s.get("uses", "").startswith("actions/cache@"))
    assert job["env"]["PPLR_DATA_DIR"] in cached["with"]["path"].split()
    assert job["env"]["PPLR_CACHE_DIR"] in cached["with"]["path"].split()


def test_where_there_are_no_figures_the_step_that_failed_stands_alone(
    job: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (step,) = (step for step in job["steps"] if "json.load" in step.get("run", ""))
    assert run_lines([step], tmp_path, {}) == [0]  # training has failed
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "evaluation.json").touch()
    assert run_lines([step], tmp_path, {}) == [0]  # evaluation has, before its results
    out, err = capfd.readouterr()
    assert (out, err) == (2 * "no figures: see the step that failed\n", "")


def test_the_lines_run_and_the_gate_decides(job: dict[str, Any], project: Path) -> None:
    steps = [step for step in job["steps"] if "run" in step and step["name"] != "Install"]
    env = {**job["env"], "PRESET": "small.yaml"}
    assert run_lines(steps[:1], project, env, OUTSIDE) == [0]
    assert run_lines(steps[1:], project, {**env, "LEAST_MAP": "0.01"}) == [0, 0, 0]
    kept = project / job["steps"][-1]["with"]["path"]
    assert json.loads((kept / "evaluation.json").read_text())["gates"][0]["passed"]
    assert (kept / "ci" / "best.pth").is_file()
    assert (kept / "plots" / "worst.png").is_file()
    evaluating = next(n for n, step in enumerate(steps) if "--fail-below" in step["run"])
    (kept / "evaluation.json").unlink()
    assert run_lines(steps[evaluating:], project, {**env, "LEAST_MAP": "1"}) == [1, 0]
    assert not json.loads((kept / "evaluation.json").read_text())["gates"][0]["passed"]
