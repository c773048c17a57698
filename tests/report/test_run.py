"""What a run folder holds."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from pplr_cli import app, presets
from pplr_cli.config import Config
from pplr_cli.engine.labels import PseudoLabels
from pplr_cli.engine.trainer import Epoch
from pplr_cli.errors import UsageError
from pplr_cli.report.run import RunFolder, flat_row, read_labels, stage_seconds
from pplr_cli.retrieval.ranking import Scores

PSEUDO = PseudoLabels(np.array([0, 1, -1, 1]), np.full((4, 3), 0.5, np.float32))
EPOCH = Epoch(1, PSEUDO, {"loss_total": 2.5}, 1e-3, {"train": 1.5})
SCORES = Scores(0.5, np.linspace(0, 1, 50), 0.25, 10, 1)


@pytest.fixture
def config(tiny_preset: Path) -> Config:
    return presets.resolve(str(tiny_preset), "train")


def test_settings_can_be_used_again(tmp_path: Path, config: Config) -> None:
    RunFolder(tmp_path / "run", config, "train", overwrite=False)
    again = presets.resolve(str(tmp_path / "run" / "config.yaml"), "train")
    assert again == config
    assert json.loads((tmp_path / "run" / "environment.json").read_text())


def test_metrics_have_one_line_an_epoch(tmp_path: Path, config: Config) -> None:
    folder = RunFolder(tmp_path, config, "train", overwrite=False)
    folder.record(Epoch(0), SCORES)
    folder.record(EPOCH, None)
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
    RunFolder(tmp_path, config, "train", overwrite=False).record(EPOCH, None)
    with np.load(tmp_path / "labels" / "epoch-001.npz") as saved:
        np.testing.assert_array_equal(saved["labels"], PSEUDO.labels)
        np.testing.assert_array_equal(saved["agreement"], PSEUDO.agreement)


def test_a_run_is_not_overwritten_unasked(tmp_path: Path, config: Config) -> None:
    folder = RunFolder(tmp_path, config, "train", overwrite=False)
    folder.record(EPOCH, None)
    with pytest.raises(UsageError, match="holds a run already") as caught:
        RunFolder(tmp_path, config, "train", overwrite=False)
    assert "--overwrite" in str(caught.value.hint)
    assert (tmp_path / "metrics.jsonl").is_file()
    RunFolder(tmp_path, config, "train", overwrite=True)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("beside_a_run", [False, True])
def test_other_files_are_never_deleted(
    tmp_path: Path, config: Config, overwrite: bool, beside_a_run: bool
) -> None:
    if beside_a_run:
        RunFolder(tmp_path, config, "train", overwrite=False)
    (tmp_path / "thesis.tex").write_text("years of work")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match=r"holds `thesis\.tex`"):
        RunFolder(tmp_path, config, "train", overwrite=overwrite)
    assert sorted(tmp_path.iterdir()) == before


def test_a_lone_config_is_not_taken_for_a_run(tmp_path: Path, config: Config) -> None:
    (tmp_path / "config.yaml").write_text("mine: true")
    with pytest.raises(UsageError, match="unknown run"):
        RunFolder(tmp_path, config, "train", overwrite=True)
    assert (tmp_path / "config.yaml").read_text() == "mine: true"


def test_config_is_yaml(tmp_path: Path, config: Config) -> None:
    RunFolder(tmp_path, config, "train-cam", overwrite=False)
    text = (tmp_path / "config.yaml").read_text()
    assert re.match(r"# pplr \S+ train-cam", text)
    assert yaml.safe_load(text)["data"]["name"] == "tiny"


def test_labels_are_read_back(tmp_path: Path, config: Config) -> None:
    RunFolder(tmp_path, config, "train", overwrite=False).record(EPOCH, None)
    assert set(read_labels(tmp_path, 1)) == {"labels", "agreement"}
    (labels,) = read_labels(tmp_path, 1, "labels", "neighbors").values()
    np.testing.assert_array_equal(labels, PSEUDO.labels)
    assert read_labels(tmp_path, 2) == {}


def test_rows_hold_the_spread_of_agreement(tmp_path: Path) -> None:
    scores = np.linspace(0, 1, 101, dtype=np.float32)[:, None].repeat(2, 1)
    row = flat_row(Epoch(1, PseudoLabels(np.zeros(101, int), scores)), None)
    for part in (1, 2):
        for percent in (10, 25, 50, 75, 90):
            assert row[f"agreement_part{part}_p{percent}"] == pytest.approx(percent / 100)


def test_time_goes_to_stages_and_their_parts() -> None:
    epoch = Epoch(1, PSEUDO, {}, 1e-3, {"label_knn": 1.0, "label": 2.0, "train": 3.0})
    row = flat_row(epoch, None)
    assert row["seconds_label_knn"] == 1.0
    assert stage_seconds(row) == {"label": 2.0, "train": 3.0}


DOCS = Path(__file__).parents[2] / "docs" / "records.md"


def test_every_field_is_documented_and_every_documented_field_exists(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The rows of both modes, evaluated, with cameras, against the table in the docs."""
    found: set[str] = set()
    for mode in ("train", "train-cam"):
        run_dir = tmp_path / mode
        options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
        assert app.run([mode, *options, "--run-dir", str(run_dir), "-q"]) == 0
        for line in (run_dir / "metrics.jsonl").read_text().splitlines():
            found |= set(json.loads(line))
    fields, arrays = (
        re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        for part in DOCS.read_text(encoding="utf-8").split("## Arrays")
    )
    assert len(fields) == len(set(fields))
    assert {re.sub(r"part\d", "part1", name) for name in found} == set(fields)
    assert list(read_labels(tmp_path / "train", 2)) == arrays
