"""`pplr runs` and `pplr compare`."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pplr_cli.app import run
from tests.conftest import Done


@pytest.fixture
def runs(done: Done, tmp_path: Path) -> Path:
    for name in ("one", "two"):
        shutil.copytree(done.folder, tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_runs_are_listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "two" / "config.yaml").write_text("optim: [")
    assert run(["runs", str(runs)]) == 0
    shown = capsys.readouterr()
    header, one, two = shown.out.splitlines()
    assert header.split() == [
        "run",
        "state",
        "command",
        "data",
        "seed",
        "epoch",
        "mAP",
        "clusters",
        "updated",
    ]
    assert one.split()[:3] == ["one", "finished", "train-cam"]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC$", one)
    assert two.split() == ["two", "damaged"]
    assert "two/config.yaml" in shown.err


def test_listed_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", str(runs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [Path(one["run"]).name for one in found["runs"]] == ["one", "two"]
    assert 0 <= found["runs"][0]["mAP"] <= 1
    updated = datetime.fromisoformat(found["runs"][0]["updated"])
    assert updated.tzinfo == UTC
    assert updated.timestamp() == int((runs / "one" / "metrics.jsonl").stat().st_mtime)


def test_listed_on_a_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = runs / "index.html"
    assert run(["runs", str(runs), "--to", str(page)]) == 0
    assert capsys.readouterr().out.endswith(f"page: {page}\n")
    assert 'href="one/report.html"' in page.read_text()
    assert run(["runs", str(runs), "--to", str(page), "--json"]) != 0
    assert run(["runs", str(runs), "--to", str(page), "--json", "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == str(page)


def test_compared_with_a_page(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, both = tmp_path / "page.html", [str(runs / "one"), str(runs / "two")]
    assert run(["compare", *both, "--to", str(page)]) == 0
    assert "the same settings" in capsys.readouterr().out
    written = page.read_bytes()
    assert written.startswith(b"<!doctype html>")
    assert run(["compare", *both, "--to", str(page)]) != 0  # not overwritten
    assert page.read_bytes() == written
    assert run(["compare", *both, "--to", str(page), "--overwrite", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(page)
    assert found["groups"][0]["figures"]["mAP"]["spread"] == 0


def test_a_pattern_may_match_more_than_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "index.html").touch()
    (runs / "plots").mkdir()
    paths = [str(path) for path in sorted(runs.iterdir())]
    assert run(["compare", *paths, "--json"]) == 0
    shown = capsys.readouterr()
    assert [Path(one["run"]).name for one in json.loads(shown.out)["runs"]] == ["one", "two"]
    assert shown.err.splitlines() == [
        f"`{runs / name}`: not a run folder, left out" for name in ("index.html", "plots")
    ]
    assert run(["compare", *paths, str(runs / "three")]) == 2  # it does not exist
    assert f"`{runs / 'three'}`" in capsys.readouterr().err
    assert run(["compare", str(runs / "one"), str(runs / "plots")]) == 2
    assert f"`{runs / 'plots'}`: not a run folder" in capsys.readouterr().err


def test_one_run_is_not_a_comparison(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(runs / "one")]) == 2
    assert "`pplr runs` lists them" in capsys.readouterr().err
