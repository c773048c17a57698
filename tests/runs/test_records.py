"""A run folder read back."""

import json
import shutil
from pathlib import Path

import pytest

from pplr_cli.runs.records import Records
from tests.conftest import Done


@pytest.fixture
def folder(done: Done, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "a run"))


def keep_rows(folder: Path, count: int) -> None:
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:count]))
    (folder / "status.json").unlink(missing_ok=True)


def test_all_is_read(folder: Path) -> None:
    records = Records.read(folder)
    assert (records.mode, records.state, records.reason) == ("train-cam", "finished", "")
    assert [row["epoch"] for row in records.rows] == [0, 1, 2]
    assert [row["epoch"] for row in records.epochs] == [1, 2]
    assert records.flat_settings["clustering.k1"] == 8
    assert "packages" in records.environment
    assert records.command == (
        f"pplr train-cam --preset '{folder}/config.yaml' --run-dir '{folder}-again'"
    )


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_run_that_was_cut_off(folder: Path, rows: int) -> None:
    keep_rows(folder, rows)
    records = Records.read(folder)
    assert records.state == "unfinished"
    assert len(records.rows) == rows
    (folder / "metrics.jsonl").unlink()
    assert Records.read(folder).rows == []


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "finished"])
def test_what_the_run_says_of_itself_counts(folder: Path, state: str) -> None:
    status = {"state": state, "reason": "no space left", "code": 1}
    (folder / "status.json").write_text(json.dumps(status))
    records = Records.read(folder)
    assert (records.state, records.reason) == (state, "no space left")
    (folder / "status.json").write_text(json.dumps({"state": state, "reason": None}))
    assert Records.read(folder).reason == ""


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Records.read(tmp_path)
