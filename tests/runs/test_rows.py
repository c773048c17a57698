"""The figures of an epoch."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pplr_cli import app
from pplr_cli.engine.epoch import Epoch
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.rows import flat_row, stage_seconds

PSEUDO = PseudoLabels(np.array([0, 1, -1, 1]), np.full((4, 3), 0.5, np.float32))


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
        [
            name.strip("`")
            for cell in re.findall(r"^\| (`.*?) \|", part, re.M)
            for name in cell.split(", ")
        ]
        for part in DOCS.read_text(encoding="utf-8").split("## Fields")[1].split("## Arrays")
    )
    assert len(fields) == len(set(fields))
    assert {re.sub(r"part\d", "part1", name) for name in found} == set(fields)
    assert list(read_labels(tmp_path / "train", 2, 96)) == arrays
