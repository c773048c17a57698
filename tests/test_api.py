"""The Python API: the same results as the commands, from Python."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pplr_cli
from pplr_cli import api
from pplr_cli.app import run
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.images import Split
from pplr_cli.runs.records import Run
from tests.shared_reporter import Recorder


@pytest.fixture(scope="module")
def trained(tiny_preset: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return pplr_cli.train(
        str(tiny_preset),
        cameras=True,
        run_dir=tmp_path_factory.mktemp("api") / "run",
        overrides={"optim.epochs": 1, "title": "by hand: 1"},
        data_dir=tiny_data,
        workers=1,
    )


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    capsys.readouterr()
    assert run([str(word) for word in (*arguments, "--json")]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_name_is_there_and_no_other() -> None:
    assert {name for name in pplr_cli.__all__ if getattr(pplr_cli, name, None) is None} == set()
    assert set(pplr_cli.__all__) <= set(dir(pplr_cli))
    with pytest.raises(AttributeError, match="no attribute `lost`"):
        pplr_cli.lost  # noqa: B018


def test_names_are_imported_when_they_are_used() -> None:
    program = (
        "import sys, pplr_cli; pplr_cli.PplrError; pplr_cli.Config; assert 'torch' not in "
        "sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_run_and_its_results(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert (trained.mode, trained.state) == ("train-cam", "finished")
    assert trained.config.title == "by hand: 1"
    assert [row["epoch"] for row in trained.rows] == [0, 1]
    assert trained.weights == trained.path / "best.pth"
    assert trained.report.is_file()
    assert trained.labels().clusters == trained.rows[-1]["clusters"]
    log = (trained.path / "log.txt").read_text()
    assert "epoch 1/1: " in log
    assert log.endswith(f"report: {trained.report}\n")


def test_silent_unless_asked(
    trained: Run, tiny_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = Recorder()
    model = pplr_cli.load(trained.weights, reporter=listener, workers=1)
    pplr_cli.evaluate(model, data_dir=tiny_data)
    assert capfd.readouterr() == ("", "")


def test_evaluate_gives_what_the_command_prints(
    trained: Run, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("evaluate", "--weights", trained.weights, "--data-dir", tiny_data)
    for rerank in (False, True):
        expected = document(capsys, *command, *(["--rerank"] if rerank else []))
        scores = pplr_cli.evaluate(trained.weights, "tiny", rerank, data_dir=tiny_data)
        assert (scores.mAP, scores.rank(1)) == (expected["mAP"], expected["rank1"])


def test_search_gives_what_the_command_prints(
    trained: Run, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = tiny_data / "tiny" / "images" / "gallery"
    query = min(gallery.iterdir())
    command = ("search", "--weights", trained.weights, "--query", query, "--gallery", gallery)
    expected = document(capsys, *command, "--top", 3)
    ((file, matches),) = pplr_cli.search(trained.weights, str(query), gallery, top=3)
    assert file == query
    shown = [(one["image"], one["distance"]) for one in expected["results"][0]["matches"]]
    assert [(str(match.file), match.distance) for match in matches] == shown


def test_prepare_gives_the_manifest(tmp_path: Path, plant: Any) -> None:
    root = plant(tmp_path / "crops", ["1_c1.jpg", "1_c2.jpg", "2_c1.jpg"])
    prepared = pplr_cli.prepare(
        "folder", root, data_dir=tmp_path / "data", name="own",
        pattern=r"(?P<identity>\d+)_c(?P<camera>\d+)",
    )  # fmt: skip
    assert (prepared.manifest.name, len(prepared.manifest.images)) == ("own", 3)
    assert prepared.path == tmp_path / "data" / "own" / "manifest.json"
    (tmp_path / "labels.csv").write_text("path,camera\n1_c1.jpg,1\n1_c2.jpg,2\n2_c1.jpg,1\n")
    labelled = pplr_cli.prepare(
        "folder", str(root), data_dir=str(tmp_path / "data"), name="table",
        table=str(tmp_path / "labels.csv"),
    )  # fmt: skip
    assert labelled.manifest.split(Split.TRAIN).has_cameras


def blobs(parts: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Five groups of 12 vectors, as [N, D] or [1 + P, N, D], and their groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(5), 12)
    centres = rng.normal(size=(1 + parts, 5, 16))
    features = 3 * centres[:, groups] + rng.normal(size=(1 + parts, 60, 16)) * 0.3
    return (features if parts else features[0]), groups


@pytest.mark.parametrize("parts", [0, 2])
def test_pseudo_labels_of_own_features(parts: int) -> None:
    features, groups = blobs(parts)
    found = pplr_cli.pseudo_labels(
        features, settings=Clustering(k1=12, k2=3), agreement=Agreement(k=10)
    )
    assert found.agreement.shape == (60, parts)
    pairs = {(group, label) for group, label in zip(groups, found.labels, strict=True)}
    assert len(pairs) == found.clusters == 5
    scaled = pplr_cli.pseudo_labels(
        torch.from_numpy(7 * features), np.arange(60) % 3, Clustering(k1=12, k2=3),
        agreement=Agreement(k=10),
    )  # fmt: skip
    np.testing.assert_array_equal(scaled.labels, found.labels)


def test_expected_failures_are_errors_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(pplr_cli.UsageError, match="no such preset"):
        pplr_cli.train("markt")
    with pytest.raises(pplr_cli.UsageError, match=r"`optim.epochs` = `many`"):
        pplr_cli.train("market", overrides={"optim.epochs": "many"})
    with pytest.raises(pplr_cli.WeightsError, match="no such weights file"):
        pplr_cli.load(tmp_path / "lost.pth")
    with pytest.raises(pplr_cli.PplrError, match=r"features of shape \[3\]"):
        pplr_cli.pseudo_labels([1.0, 2.0, 3.0])
    assert issubclass(pplr_cli.StoppedError, pplr_cli.PplrError)


def test_a_run_is_resumed_with_the_settings_that_it_recorded(trained: Run) -> None:
    longer = api.train(
        None,
        cameras=True,
        run_dir=trained.path,
        overrides={"optim.epochs": 2},
        data_dir=json.loads((trained.path / "environment.json").read_text())["data_dir"],
        resume=True,
    )
    assert [row["epoch"] for row in longer.rows] == [0, 1, 2]


def test_cluster_and_assign_are_the_commands(
    trained: Run, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, table = pplr_cli.load(trained.weights), tmp_path / "labels.csv"
    options = ("--weights", trained.weights, "--data-dir", tiny_data)
    told = document(capsys, "cluster", "tiny", *options, "--output", table)
    found = pplr_cli.cluster(model, "tiny", data_dir=tiny_data)
    assert found.pseudo.labels.tolist() == [row["pseudo_identity"] for row in told["labels"]]
    assert list(found.images.paths) == [row["path"] for row in told["labels"]]
    told = document(capsys, "assign", "tiny", *options, "--known", table)
    given = pplr_cli.assign(model, table, "tiny", data_dir=tiny_data)
    assert list(given.names) == [str(row["pseudo_identity"]) for row in told["labels"]]
    assert given.threshold._asdict() == told["threshold"]


def test_evaluation_by_other_rules_is_the_command(
    trained: Run, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--weights", trained.weights, "--data-dir", tiny_data)
    told = document(
        capsys, "evaluate", *options, "--same-camera", "keep", "--leave-one-out", "--no-cache"
    )
    found = pplr_cli.evaluate(
        pplr_cli.load(trained.weights), "tiny", same_camera="keep", leave_one_out=True,
        data_dir=tiny_data,
    )  # fmt: skip
    assert (found.mAP, found.queries) == (told["mAP"], told["queries"])
    assert (told["same_camera"], told["leave_one_out"], told["paper"]) == ("keep", True, {})
