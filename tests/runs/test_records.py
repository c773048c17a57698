"""A run folder read back."""

import json
import shutil
from pathlib import Path

import pytest

from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.progress import Silent
from pplr_cli.runs.records import Run
from tests.conftest import Done


@pytest.fixture
def folder(done: Done, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "a run"))


def keep_rows(folder: Path, count: int) -> None:
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:count]))
    (folder / "status.json").unlink(missing_ok=True)


def test_all_is_read(folder: Path) -> None:
    records = Run(folder)
    assert (records.mode, records.state, records.reason) == ("train-cam", "finished", "")
    assert [row["epoch"] for row in records.rows] == [0, 1, 2]
    assert [row["epoch"] for row in records.epochs] == [1, 2]
    assert records.settings["clustering"]["k1"] == 8
    assert "packages" in records.environment
    assert records.command == (
        f"pplr train-cam --preset '{folder}/config.yaml' --run-dir '{folder}-again'"
    )


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_run_that_was_cut_off(folder: Path, rows: int) -> None:
    keep_rows(folder, rows)
    records = Run(folder)
    assert records.state == "unfinished"
    assert len(records.rows) == rows
    (folder / "metrics.jsonl").unlink()
    assert Run(folder).rows == []


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "finished"])
def test_what_the_run_says_of_itself_counts(folder: Path, state: str) -> None:
    status = {"state": state, "reason": "no space left", "code": 1}
    (folder / "status.json").write_text(json.dumps(status))
    records = Run(folder)
    assert (records.state, records.reason) == (state, "no space left")
    (folder / "status.json").write_text(json.dumps({"state": state, "reason": None}))
    assert Run(folder).reason == ""


@pytest.mark.parametrize("best", [0, 2])
def test_the_summary_names_weights_that_training_did_not_improve(folder: Path, best: int) -> None:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [json.dumps(row | {"mAP": 0.5 if row["epoch"] == best else 0.4}) for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    start = f" (those before training, as no epoch raised the mAP; trained: {folder / 'last.pth'})"
    expected = f"weights: {folder / 'best.pth'}" + ("" if best else start)
    assert Run(folder).summary()[1] == expected


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a run folder \(`config.yaml` is missing\)"):
        _ = Run(tmp_path).config


@pytest.mark.parametrize("mistyped", ["runs/demo-trian", "demo-train", "elsewhere/demo-trian"])
def test_a_folder_that_is_not_there_names_the_most_similar_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistyped: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("demo-train", "market-train"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "config.yaml").touch()
    with pytest.raises(UsageError) as caught:
        _ = Run(Path(mistyped)).settings
    assert caught.value.message == f"`{mistyped}`: no such folder"
    assert caught.value.hint == "did you mean `runs/demo-train`?"


def test_a_file_in_a_run_folder_names_the_folder(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _ = Run(folder / "best.pth").settings
    assert caught.value.hint == f"did you mean `{folder}`?"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"epoch": "x"}',
        '{"epoch": null}',
        '{"epoch": 1, "mAP": "x"}',
        '{"epoch": 1, "mAP": null}',
        '{"epoch": 1e400}',
        '{"epoch": -1}',
        '{"epoch": 99999999999999999999}',
        '{"epoch": 1, "mAP": 0.5}',
        '{"epoch": 1, "clusters": 5}',
        '{"epoch": 1, "mAP": NaN}',
        "\\udcff",
    ],
)
def test_a_line_that_is_no_row_is_named(folder: Path, line: str) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl:4`: not the figures of an epoch"):
        _ = Run(folder).rows


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"data_dir": [1]}', '{"data_dir": "data"}'])
def test_an_edited_environment_names_no_data_folder(
    folder: Path, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPLR_DATA_DIR", str(tmp_path / "mine"))
    (folder / "environment.json").write_text(text)
    with pytest.raises(DataError, match=r"mine"):
        Run(folder).open_data(None, Silent())


def test_the_data_set_of_the_run_is_recognised(folder: Path, tiny_data: Path) -> None:
    expected = Manifest.load(tiny_data / "tiny" / "manifest.json")
    assert Run(folder).open_data(None, Silent()) == expected
    assert Run(folder).open_data(tiny_data, Silent()) == expected
    file = folder / "environment.json"
    for digest in ("0a", [1]):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"data_digest": digest}))
        with pytest.raises(DataError, match="is not that of the run"):
            Run(folder).open_data(None, Silent())


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"auto": ["batch.size"]}', {"batch.size"}),
        ("{}", set()),
        ('{"auto": null}', set()),
        ('{"auto": "batch.size"}', set()),
        ('{"auto": [[1]]}', {"[1]"}),
    ],
)
def test_numbers_that_auto_chose_are_known(folder: Path, text: str, keys: set[str]) -> None:
    (folder / "environment.json").write_text(text)
    assert Run(folder).auto == keys
