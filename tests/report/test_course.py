"""When a run is evaluated, and which weights are kept."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli import presets
from pplr_cli.engine.labels import PseudoLabels
from pplr_cli.engine.network import Network
from pplr_cli.engine.trainer import Epoch
from pplr_cli.progress import Silent
from pplr_cli.report.course import Course
from pplr_cli.report.run import RunFolder
from pplr_cli.retrieval.ranking import Scores

LOSSES = {"loss_refinement": 1.0, "loss_triplet": 1.0, "loss_part": 1.0, "loss_total": 3.0}


class Scripted:
    """An evaluator whose mAP is given."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def scores(self, network: Network) -> Scores:
        return Scores(next(self.values), np.zeros(50), 0.0, 5, 0)


def follow(
    tmp_path: Path, preset: Path, settings: list[str], values: list[float] | None, epochs: int
) -> tuple[Course, RunFolder]:
    config = presets.resolve(str(preset), "train", settings)
    folder = RunFolder(tmp_path / "run", config, "train", overwrite=False)
    evaluator = None if values is None else Scripted(values)
    course = Course(config, Network("tiny", classes=2), evaluator, folder, Silent())  # type: ignore[arg-type]
    pseudo = PseudoLabels(np.array([0, 0, 1, 1]), np.ones((4, 3), np.float32))
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
    assert [path.name for path in course.finish()] == ["last.pth", "curves.png"]
    assert not (folder.path / "best.pth").exists()
    assert [row["epoch"] for row in folder.rows] == [1, 2]
