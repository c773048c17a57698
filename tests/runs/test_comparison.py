"""Runs compared: outcomes, differing settings, mean and spread over seeds."""

import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pplr_cli.errors import UsageError
from pplr_cli.runs.comparison import Comparison, find_runs, outcome
from pplr_cli.runs.records import Run
from tests.conftest import Done

Copy = Callable[..., Path]


@pytest.fixture
def copy(done: Done, tmp_path: Path) -> Copy:
    """Copy the finished run under a name, with other settings and a constant mAP."""

    def copied(name: str, score: float | None = None, **settings: object) -> Path:
        folder = Path(shutil.copytree(done.folder, tmp_path / "runs" / name))
        header, _, text = (folder / "config.yaml").read_text().partition("\n")
        values = yaml.safe_load(text)
        for key, value in settings.items():
            block, _, field = key.partition("__")
            (values[block] if field else values)[field or block] = value
        (folder / "config.yaml").write_text(f"{header}\n{yaml.safe_dump(values)}")
        if score is not None:
            rows = [
                json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()
            ]
            for row in rows:
                row["mAP"] = score
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / "metrics.jsonl").write_text(lines)
        return folder

    return copied


def test_the_outcome_is_what_the_records_say(copy: Copy) -> None:
    run = Run(copy("one"))
    found = outcome(run)
    assert (found["state"], found["mode"]) == ("finished", "train-cam")
    assert (found["epoch"], found["epochs"]) == (2, 2)
    assert found["start_mAP"] == run.rows[0]["mAP"]
    assert found["mAP"] == run.rows[2]["mAP"]
    assert found["best_mAP"] == max(row["mAP"] for row in run.rows)
    assert found["clusters"] == run.rows[2]["clusters"]


def test_mean_and_spread_are_over_runs_that_differ_in_the_seed_alone(copy: Copy) -> None:
    scores = [0.5, 0.6, 0.8]
    paths = [copy(f"s{seed}", score, seed=seed) for seed, score in enumerate(scores)]
    other = copy("other", 0.9, optim__lr=0.5, title="another title")
    found = Comparison.of([*paths, other])
    assert [(group.name, len(group.runs)) for group in found.groups] == [
        ("optim.lr=0.00035", 3), ("optim.lr=0.5", 1)
    ]  # fmt: skip
    mean, spread = found.groups[0].figures["mAP"]
    assert mean == pytest.approx(statistics.mean(scores))
    assert spread == pytest.approx(statistics.stdev(scores))
    assert found.groups[0].percent("mAP") == "63.3 ± 15.3"
    assert found.groups[1].percent("mAP") == "90.0"
    assert found.differences == {"optim.lr": [0.00035, 0.00035, 0.00035, 0.5]}


def test_mode_and_data_set_set_runs_apart(copy: Copy) -> None:
    one, other = copy("one"), copy("other")
    assert Comparison.of([one, other]).differences == {}
    environment = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps(environment | {"data_digest": "f" * 64}))
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("train-cam", "train", 1))
    found = Comparison.of([one, other])
    assert set(found.differences) == {"mode", "data.digest"}
    assert len(found.groups) == 2


def test_numbers_that_auto_chose_do_not_set_runs_apart(copy: Copy) -> None:
    def auto(run: Path, *keys: str) -> Path:
        environment = json.loads((run / "environment.json").read_text())
        (run / "environment.json").write_text(json.dumps(environment | {"auto": keys}))
        return run

    small = auto(copy("small", batch__size=12), "batch.size")
    large = auto(copy("large", batch__size=36), "batch.size")
    found = Comparison.of([small, large])
    assert found.differences == {}
    assert len(found.groups) == 1
    written = copy("written", batch__size=12)
    assert Comparison.of([small, written]).differences == {}
    found = Comparison.of([large, written])
    assert found.differences == {"batch.size": ["36 (auto)", 12]}


def test_answers_set_runs_apart(copy: Copy) -> None:
    one, other = copy("one"), copy("other")
    (other / "answers-used.csv").write_text("path_a,path_b,answer\na.jpg,b.jpg,same\n")
    found = Comparison.of([one, other])
    assert list(found.differences) == ["answers"]
    assert len(found.groups) == 2


def test_runs_without_scores_have_no_mean_of_them(copy: Copy) -> None:
    one, other = copy("one"), copy("other", seed=2)
    rows = [json.loads(line) for line in (other / "metrics.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in row.items() if key != "mAP"} for row in rows[1:]]
    (other / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    (group,) = Comparison.of([one, other]).groups
    assert "mAP" not in group.figures
    assert group.percent("mAP") == ""
    assert "clusters" in group.figures


def test_damaged_runs_are_listed_but_not_compared(copy: Copy) -> None:
    good, bad = copy("good"), copy("bad")
    (bad / "config.yaml").write_text("optim: [")
    assert [outcome(run)["state"] for run in find_runs(good.parent)] == ["damaged", "finished"]
    with pytest.raises(UsageError, match=r"config\.yaml"):
        Comparison.of([good, bad])


def test_too_little_to_compare(copy: Copy, tmp_path: Path) -> None:
    one = copy("one")
    with pytest.raises(UsageError, match="at least two"):
        Comparison.of([one, one])
    with pytest.raises(UsageError, match="no such folder"):
        find_runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="contains no run"):
        find_runs(tmp_path / "empty")
    with pytest.raises(UsageError, match="is itself a run folder") as caught:
        find_runs(one)
    assert caught.value.hint == f"`pplr runs {one.resolve().parent}` lists it"
