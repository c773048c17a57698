"""When a run is evaluated, and which weights are kept."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli import presets
from pplr_cli.data.manifest import ImageSet
from pplr_cli.engine.labels import PseudoLabels
from pplr_cli.engine.network import Network
from pplr_cli.engine.trainer import Epoch
from pplr_cli.progress import Reporter, Silent
from pplr_cli.report.course import Course
from pplr_cli.report.page import Report
from pplr_cli.report.run import RunFolder
from pplr_cli.retrieval.ranking import Scores

LOSSES = {"loss_refinement": 1.0, "loss_triplet": 1.0, "loss_part": 1.0, "loss_total": 3.0}
CAMERAS = np.array([0, 1, 2, 0, 1, 2])


class Listener(Silent):
    """A reporter that keeps what it is told; a warning nobody expected fails the test."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.told.append(message)

    def warn(self, message: str, hint: str | None = None) -> None:
        self.warnings.append(message)


class Scripted:
    """An evaluator whose mAP is given."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def scores(self, network: Network) -> Scores:
        return Scores(next(self.values), np.zeros(50), 0.0, 5, 0)


def follow(
    tmp_path: Path,
    preset: Path,
    settings: list[str],
    values: list[float] | None,
    epochs: int,
    reporter: Reporter | None = None,
) -> tuple[Course, RunFolder]:
    reporter = reporter or Listener()
    config = presets.resolve(str(preset), "train", settings)
    folder = RunFolder(tmp_path / "run", config, "train", overwrite=False)
    evaluator = None if values is None else Scripted(values)
    images = ImageSet(tmp_path, tuple("abcdef"), np.arange(6), CAMERAS)
    report = Report(folder.path, images, np.zeros((6, 32, 16, 3), np.uint8), reporter)
    network = Network("tiny", classes=2)
    course = Course(config, network, evaluator, folder, report, reporter)  # type: ignore[arg-type]
    pseudo = PseudoLabels(np.array([0, 0, 1, 1, 2, 2]), np.ones((6, 3), np.float32))
    course.after_epoch(Epoch(0))
    for number in range(1, epochs + 1):
        course.after_epoch(Epoch(number, pseudo, LOSSES, 1e-3, {"train": 1.0}))
    return course, folder


@pytest.mark.parametrize(("at_start", "expected"), [(False, [3, 6, 7]), (True, [0, 3, 6, 7])])
def test_evaluates_every_few_epochs_and_at_the_end(
    tmp_path: Path, tiny_preset: Path, at_start: bool, expected: list[int]
) -> None:
    settings = ["optim.epochs=7", "evaluation.every=3", f"evaluation.at_start={at_start}".lower()]
    _, folder = follow(tmp_path, tiny_preset, settings, [0.1] * len(expected), 7)
    assert [row["epoch"] for row in folder.rows if "mAP" in row] == expected


@pytest.mark.parametrize(
    ("values", "best"), [([0.9, 0.2, 0.5, 0.4], 2), ([0.9, 0.3, 0.2, 0.1], 1), ([0, 0, 0, 0], 1)]
)
def test_best_weights_are_those_of_the_highest_map_since_training_began(
    tmp_path: Path, tiny_preset: Path, values: list[float], best: int
) -> None:
    _, folder = follow(tmp_path, tiny_preset, ["optim.epochs=3"], values, 3)
    about = {
        name: torch.load(folder.path / name, weights_only=True)._metadata["pplr"]["epoch"]
        for name in ("best.pth", "last.pth")
    }
    assert about == {"best.pth": best, "last.pth": 3}


def test_without_labels_the_last_weights_are_the_result(tmp_path: Path, tiny_preset: Path) -> None:
    course, folder = follow(tmp_path, tiny_preset, ["optim.epochs=2"], None, 2)
    assert [path.name for path in course.finish()] == ["last.pth", "report.html"]
    assert not (folder.path / "best.pth").exists()
    assert [row["epoch"] for row in folder.rows] == [1, 2]


def test_an_epoch_is_told_in_short_lines(tmp_path: Path, tiny_preset: Path) -> None:
    listener = Listener()
    follow(tmp_path, tiny_preset, ["optim.epochs=2"], [0.2, 0.6, 0.4], 2, listener)
    assert listener.warnings == []
    before, _, second = listener.told
    assert before.startswith("epoch 0/2: mAP 20.0, rank-1 0.0, ")
    head, losses, scores = second.split("\n  ")
    assert head == "epoch 2/2: 3 clusters, 0 of 6 outliers, agreement 1.00, 1.0 s"
    assert losses == "loss 3.000: refinement 1.000, triplet 1.000, part 1.000; lr 1.0e-03"
    assert scores == "mAP 40.0, rank-1 0.0, best mAP 60.0 after epoch 1"


def test_health_stands_in_the_rows(tmp_path: Path, tiny_preset: Path) -> None:
    _, folder = follow(tmp_path, tiny_preset, ["optim.epochs=2"], None, 2)
    first, second = folder.rows
    assert first["single_camera_share"] == second["single_camera_share"] == 0.0
    assert "previous_ari" not in first
    assert second["previous_ari"] == 1.0


def test_what_is_wrong_is_told_once_and_again_at_the_end(tmp_path: Path, tiny_preset: Path) -> None:
    listener = Listener()
    settings = ["optim.epochs=3"]
    course, _ = follow(tmp_path, tiny_preset, settings, None, 3, listener)
    assert listener.warnings == []
    bad = PseudoLabels(CAMERAS, np.ones((6, 3), np.float32))
    for number in (4, 5):
        course.after_epoch(Epoch(number, bad, LOSSES, 1e-3, {"train": 1.0}))
    assert [warning[:32] for warning in listener.warnings] == ["the clusters follow the cameras:"]
    course.finish()
    assert len(listener.warnings) == 2


def test_a_report_that_cannot_be_drawn_is_a_warning(tmp_path: Path, tiny_preset: Path) -> None:
    listener = Listener()
    course, folder = follow(tmp_path, tiny_preset, ["optim.epochs=1"], None, 1, listener)
    (folder.path / "report.html").unlink()
    (folder.path / "report.html").mkdir()
    assert course.finish()[0].name == "last.pth"
    (warning,) = listener.warnings
    assert "report.html" in warning
