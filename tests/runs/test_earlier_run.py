"""A run folder that version 0.1.0 wrote is still read.

`data/run-0.1.0.tar.xz` holds a run on the tiny data set, without states; its weights are constants.
"""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest

from pplr_cli.app import run
from pplr_cli.data.manifest import Manifest
from pplr_cli.report.page import render
from pplr_cli.runs.records import Run
from tests.conftest import Done

ARCHIVE = Path(__file__).parent / "data" / "run-0.1.0.tar.xz"


@pytest.fixture
def folder(tmp_path: Path, tiny_data: Path) -> Path:
    """The run; it names the tiny data set, whose bytes depend on the version of Pillow."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "run", filter="data")
    path = tmp_path / "run" / "environment.json"
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    environment = json.loads(path.read_text()) | {"data_digest": manifest.digest}
    path.write_text(json.dumps(environment))
    return tmp_path / "run"


def test_records(folder: Path) -> None:
    records = Run(folder)
    assert (records.mode, records.state) == ("train-cam", "finished")
    assert records.environment["pplr"] == "0.1.0"
    assert [row["epoch"] for row in records.rows] == [0, 1, 2]
    assert records.config.clustering.k1 == 8


def test_labels(folder: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["labels", str(folder), "--data-dir", str(tiny_data)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 96
    outliers = [row["pseudo_identity"] for row in rows].count("-1")
    assert outliers == Run(folder).rows[-1]["outliers"]


def test_weights(folder: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data-dir", str(tiny_data), "--json"]
    assert run(["evaluate", "--weights", str(folder / "best.pth"), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["mode"], document["epoch"], document["data"]) == ("train-cam", 2, "tiny")


def test_report(folder: Path, done: Done) -> None:
    page = render(Run(folder), done.images, done.pixels)
    assert "Clusters of epoch 2" in page
    assert "Outliers of epoch 2" in page
