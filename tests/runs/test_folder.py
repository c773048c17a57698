"""What a run folder holds, and who may use it."""

import csv
import json
import multiprocessing
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.engine.epoch import Epoch
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.runs.folder import RunFolder, check_folder, locked_folder
from pplr_cli.runs.rows import best_row, flat_row

PSEUDO = PseudoLabels(np.array([0, 1, -1, 1]), np.full((4, 3), 0.5, np.float32))
EPOCH = Epoch(1, PSEUDO, {"loss_total": 2.5}, 1e-3, {"train": 1.5})
SCORES = Scores(0.5, np.linspace(0, 1, 50), 0.25, 10, 1)


@pytest.fixture
def config(tiny_preset: Path) -> Config:
    return presets.resolve(str(tiny_preset), "train")


def new_run(path: Path, config: Config) -> RunFolder:
    return RunFolder(path, config, "train", {"command": "pplr train --preset tiny"})


def test_settings_can_be_used_again(tmp_path: Path, config: Config) -> None:
    new_run(tmp_path, config)
    again = presets.resolve(str(tmp_path / "config.yaml"), "train")
    assert again == config
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["command"] == "pplr train --preset tiny"
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "running"


def test_metrics_have_one_line_an_epoch(tmp_path: Path, config: Config) -> None:
    folder = new_run(tmp_path, config)
    folder.rows += [flat_row(Epoch(0), SCORES), flat_row(EPOCH, None)]
    folder.write_records(EPOCH)
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert first == {"epoch": 0, "mAP": 0.5, "mINP": 0.25} | {
        f"rank{k}": SCORES.rank(k) for k in (1, 5, 10)
    }
    assert second["clusters"] == 2
    assert second["outliers"] == 1
    assert second["seconds_train"] == 1.5
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert rows[1]["mAP"] == ""


def test_labels_are_kept(tmp_path: Path, config: Config) -> None:
    new_run(tmp_path, config).write_records(EPOCH)
    with np.load(tmp_path / "labels" / "epoch-001.npz") as saved:
        np.testing.assert_array_equal(saved["labels"], PSEUDO.labels)
        np.testing.assert_array_equal(saved["agreement"], PSEUDO.agreement)


@pytest.mark.parametrize(
    ("values", "best"), [((0.9, 0.2, 0.5), 0), ((0.1, 0.2, 0.5, 0.5), 2), ((0.0, 0.0), 0)]
)
def test_the_best_row_is_the_first_of_the_highest_and_the_start_counts(
    values: tuple[float, ...], best: int
) -> None:
    scores = (Scores(value, np.zeros(50), 0.0, 5, 0) for value in values)
    rows = [flat_row(Epoch(number), each) for number, each in enumerate(scores)]
    assert best_row(rows) is rows[best]
    assert best_row([]) is None


def test_a_run_is_not_overwritten_unasked(tmp_path: Path, config: Config) -> None:
    new_run(tmp_path, config).write_records(EPOCH)
    with pytest.raises(UsageError, match="already contains a run") as caught:
        check_folder(tmp_path, overwrite=False, resume=False)
    assert "--overwrite" in str(caught.value.hint)
    assert "--resume" in str(caught.value.hint)
    assert "finished run takes more epochs" in str(caught.value.hint)
    check_folder(tmp_path, overwrite=True, resume=False)
    check_folder(tmp_path, overwrite=False, resume=True)
    assert (tmp_path / "metrics.jsonl").is_file()


def test_a_new_run_deletes_the_earlier_one_and_a_resumed_one_only_what_is_unfinished(
    tmp_path: Path, config: Config
) -> None:
    new_run(tmp_path, config).write_records(EPOCH)
    (tmp_path / ".last.pth.77.tmp").write_text("half")
    (tmp_path / "labels" / ".epoch-002.npz.77.tmp").write_text("half")
    rows = [{"epoch": 1}]
    assert RunFolder(tmp_path, config, "train", {}, rows).rows == rows
    assert (tmp_path / "metrics.jsonl").exists()
    assert not list(tmp_path.rglob("*.tmp"))
    new_run(tmp_path, config)
    assert not (tmp_path / "metrics.jsonl").exists()
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("beside_a_run", [False, True])
@pytest.mark.parametrize("name", ["thesis.tex", "answers.csv"])
def test_other_files_are_never_deleted(
    tmp_path: Path, config: Config, overwrite: bool, beside_a_run: bool, name: str
) -> None:
    if beside_a_run:
        new_run(tmp_path, config)
    (tmp_path / name).write_text("years of work")
    before = sorted(tmp_path.iterdir())
    with (
        pytest.raises(UsageError, match=rf"contains `{re.escape(name)}`"),
        locked_folder(tmp_path, overwrite=overwrite, resume=False),
    ):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_other_files_do_not_keep_a_run_from_being_resumed(tmp_path: Path, config: Config) -> None:
    new_run(tmp_path, config).write_records(EPOCH)
    (tmp_path / "slurm-1.out").write_text("from the scheduler")
    check_folder(tmp_path, overwrite=False, resume=True)
    new_run(tmp_path, config)  # resumed before its first state
    assert (tmp_path / "slurm-1.out").exists()
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_lone_config_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: true")
    with pytest.raises(UsageError, match="unknown run"):
        check_folder(tmp_path, overwrite=True, resume=False)


@pytest.mark.parametrize("name", ["last.pth", "state.previous.pt", "log.txt"])
def test_a_folder_in_the_place_of_a_file_is_named(
    tmp_path: Path, config: Config, name: str
) -> None:
    new_run(tmp_path, config)
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=rf"{name}`: is a folder"):
        check_folder(tmp_path, overwrite=False, resume=True)


def hold(path: Path, holding: Any) -> None:
    """Hold a folder until the process is killed."""
    with locked_folder(path, overwrite=False, resume=False):
        holding.set()
        time.sleep(600)


def test_a_folder_serves_one_process_at_a_time(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    holding = fork.Event()
    other = fork.Process(target=hold, args=(tmp_path, holding))
    other.start()
    assert holding.wait(60)
    with (
        pytest.raises(PplrError, match=rf"trains in this folder \(process {other.pid} on"),
        locked_folder(tmp_path, overwrite=True, resume=False),
    ):
        pass
    other.kill()
    other.join()
    with locked_folder(tmp_path, overwrite=False, resume=False):  # a killed one's lock is free
        assert (tmp_path / ".lock").exists()
    assert not list(tmp_path.iterdir())


def test_config_is_yaml(tmp_path: Path, config: Config) -> None:
    RunFolder(tmp_path, config, "train-cam", {})
    text = (tmp_path / "config.yaml").read_text()
    assert re.match(r"# pplr \S+ train-cam", text)
    assert yaml.safe_load(text)["data"]["name"] == "tiny"
