"""A training run from the request to its end, seen by the process that carries it."""

import signal
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config import fitting
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import DataError, UsageError
from pplr_cli.progress import Reporter, Silent
from pplr_cli.runs.records import Run
from pplr_cli.runs.status import read_status
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.start import run_training
from tests.shared_reporter import Recorder


def train(options: dict[str, Any], reporter: Reporter | None = None, **more: Any) -> Run | None:
    return run_training(TrainingRequest(**(options | more)), reporter or Silent())


def test_a_run_says_how_it_stands_from_its_start_to_its_end(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    step = Trainer._step

    def watched(*arguments: Any) -> Any:
        seen.append(read_status(options["run_dir"])["state"])
        return step(*arguments)

    monkeypatch.setattr(Trainer, "_step", watched)
    train(options)
    assert seen == ["running"] * 6
    status = read_status(options["run_dir"])
    assert (status["state"], status["reason"], status["code"]) == ("finished", None, 0)


def test_signals_are_the_own_again_after_a_run(options: dict[str, Any]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    train(options)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_that_fails_before_it_begins_leaves_another_as_it_was(
    options: dict[str, Any],
) -> None:
    train(options)
    folder = options["run_dir"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="other settings"):
        train(options, resume=True, settings=("optim.lr=0.1",))
    with pytest.raises(UsageError, match="already contains a run"):
        train(options)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_bug_keeps_its_traceback_and_is_written_down(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Trainer, "_step", broken)
    with pytest.raises(KeyError, match="a bug"):
        train(options)
    status = read_status(options["run_dir"])
    assert (status["state"], status["reason"]) == ("failed", "KeyError: 'a bug'")
    assert not (options["run_dir"] / ".lock").exists()


def test_a_run_continues_from_a_named_state_in_another_folder(
    options: dict[str, Any], tmp_path: Path
) -> None:
    train(options)
    before = (options["run_dir"] / "state.pt").read_bytes()
    state = options["run_dir"] / "state.previous.pt"
    listener = Recorder()
    train(options, listener, run_dir=tmp_path / "other", resume_from=state)
    assert "resumed in epoch 2, step 3" in listener.news
    weights = [
        torch.load(folder / "last.pth", weights_only=True)
        for folder in (options["run_dir"], tmp_path / "other")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (options["run_dir"] / "state.pt").read_bytes() == before


def with_tracks(data: Path, target: Path) -> Manifest:
    """Save the tiny data set with one track per identity and camera; return its manifest."""
    manifest = Manifest.load(data / "tiny" / FILE_NAME)
    images = tuple(image._replace(track=image.identity) for image in manifest.images)
    tracked = replace(manifest, images=images)
    tracked.save(target / "tiny")
    return tracked


def labels_of(folder: Path, epoch: int) -> np.ndarray:
    with np.load(sorted((folder / "labels").glob("*.npz"))[epoch]) as arrays:
        return np.asarray(arrays["labels"])


def test_images_of_a_track_get_one_label(options: dict[str, Any], tmp_path: Path) -> None:
    manifest = with_tracks(options["data_dir"], tmp_path / "data")
    train(options, mode="train-cam", data_dir=tmp_path / "data")
    found: dict[tuple[int, str], set[int]] = defaultdict(set)
    for epoch in (0, 1):
        labels = labels_of(options["run_dir"], epoch)
        for image, label in zip(manifest.split(Split.TRAIN).paths, labels, strict=True):
            identity, camera, _ = Path(image).stem.split("_")
            found[epoch, f"{identity}_{camera}"].add(int(label))
    assert all(len(labels) == 1 for labels in found.values())
    assert (options["run_dir"] / "report.html").is_file()


def test_tracks_can_be_ignored(options: dict[str, Any], tmp_path: Path) -> None:
    with_tracks(options["data_dir"], tmp_path / "data")
    train(options)
    plain = labels_of(options["run_dir"], 1)
    other = {"data_dir": tmp_path / "data", "run_dir": tmp_path / "other"}
    train(options, **other, settings=("clustering.tracks=false",))
    np.testing.assert_array_equal(labels_of(tmp_path / "other", 1), plain)


def test_settings_that_tracks_ignore_end_a_run_before_it_begins(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with_tracks(options["data_dir"], tmp_path / "data")
    with pytest.raises(UsageError, match="`hdbscan` has no effect on tracks"):
        train(options, data_dir=tmp_path / "data", settings=("clustering.algorithm=hdbscan",))
    assert not (options["run_dir"] / "metrics.jsonl").exists()


def test_other_distances_and_clusterers_train_and_explain(options: dict[str, Any]) -> None:
    settings = {"distance": "camera_jaccard", "algorithm": "hdbscan", "k1_others": 8}
    settings["features"] = "disk"
    options["settings"] = tuple(f"clustering.{key}={value}" for key, value in settings.items())
    run = train(options, mode="train-cam")
    assert run is not None
    assert {"seconds_label_camera_jaccard", "seconds_label_hdbscan"} <= run.rows[-1].keys()
    page = (run.path / "report.html").read_text()
    assert "HDBSCAN" in page
    assert "camera-aware Jaccard distance" in page


def test_tracks_are_found_where_none_are_given(options: dict[str, Any], tmp_path: Path) -> None:
    options["settings"] = ("clustering.find_tracks=true",)
    run = train(options, mode="train-cam")
    assert run is not None
    assert "seconds_label_tracks" in run.rows[-1]
    found = labels_of(options["run_dir"], 1)
    with_tracks(options["data_dir"], tmp_path / "data")
    other = {"data_dir": tmp_path / "data", "run_dir": tmp_path / "other"}
    options["settings"] += ("clustering.tracks=false",)
    train(options, mode="train-cam", **other)
    np.testing.assert_array_equal(labels_of(tmp_path / "other", 1), found)


@pytest.mark.parametrize("tracked", [False, True])
def test_answers_shape_the_clusters_and_stay_with_the_run(
    options: dict[str, Any], tmp_path: Path, *, tracked: bool
) -> None:
    if tracked:
        with_tracks(options["data_dir"], tmp_path / "data")
        options["data_dir"] = tmp_path / "data"
    manifest = Manifest.load(options["data_dir"] / "tiny" / FILE_NAME)
    paths = manifest.split(Split.TRAIN).paths
    file = tmp_path / "answers.csv"
    same, different = (0, 50), (0, 90)
    lines = [f"{paths[a]},{paths[b]},same" for a, b in [same]]
    lines += [f"{paths[a]},{paths[b]},different" for a, b in [different]]
    file.write_text("\n".join(["path_a,path_b,answer", *lines, ""]))
    options["settings"] = ("clustering.eps=0.9",)
    train(options, answers=file)
    for epoch in (0, 1):
        labels = labels_of(options["run_dir"], epoch)
        assert labels[same[0]] == labels[same[1]] != -1
        assert labels[different[0]] != labels[different[1]]
    kept = options["run_dir"] / "answers-used.csv"
    assert kept.read_bytes() == file.read_bytes()

    other = tmp_path / "other"
    other.mkdir()
    (other / kept.name).write_bytes(kept.read_bytes())
    (other / "status.json").write_bytes((options["run_dir"] / "status.json").read_bytes())
    state = options["run_dir"] / "state.previous.pt"
    train(options, run_dir=other, resume_from=state)
    for name in ("last.pth", kept.name):
        assert (other / name).read_bytes() == (options["run_dir"] / name).read_bytes()
    (other / kept.name).unlink()
    with pytest.raises(UsageError, match="with other answers"):
        train(options, run_dir=other, resume_from=state)


def test_numbers_chosen_by_auto_are_recorded_and_used_again(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Recorder()
    options["settings"] = ("optim.iters=auto", "batch.size=auto", "optim.epochs=1")
    train(options, listener)
    assert "chosen for 96 images: `batch.size` = 24, `optim.iters` = 8" in listener.news
    run = Run(options["run_dir"])
    assert (run.config.batch.size, run.config.optim.iters) == (24, 8)
    assert run.auto == {"batch.size", "optim.iters"}
    monkeypatch.setattr(fitting, "PASSES", 9)
    resumed = {"preset": None, "resume": True, "settings": ("optim.epochs=2",)}
    assert train(options, **resumed).config.optim.iters == 8  # type: ignore[union-attr]
    assert Run(options["run_dir"]).auto == run.auto


def test_contradictions_end_a_run_before_it_begins(options: dict[str, Any], tmp_path: Path) -> None:
    paths = Manifest.load(options["data_dir"] / "tiny" / FILE_NAME).split(Split.TRAIN).paths
    file = tmp_path / "answers.csv"
    pair = f"{paths[0]},{paths[9]}"
    file.write_text(f"path_a,path_b,answer\n{pair},same\n{pair},different\n")
    with pytest.raises(DataError, match=r"answers\.csv:3.*but line 2 makes them the same"):
        train(options, answers=file)
    assert not (options["run_dir"] / "metrics.jsonl").exists()
