"""When a run is evaluated and saved, and which weights are kept."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import load_state
from pplr_cli.engine.epoch import Epoch, EpochState
from pplr_cli.engine.network import Network
from pplr_cli.engine.trainer import Trainer
from pplr_cli.interrupts import Interrupted, Interrupts
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.runs.folder import RunFolder
from pplr_cli.runtime import Runtime
from pplr_cli.session.recorder import RunRecorder
from tests.shared_reporter import Recorder

LOSSES = {"loss_refinement": 1.0, "loss_triplet": 1.0, "loss_part": 1.0, "loss_total": 3.0}
CAMERAS = np.array([0, 1, 2, 0, 1, 2])
PSEUDO = PseudoLabels(np.array([0, 0, 1, 1, 2, 2]), np.ones((6, 3), np.float32))


class Scripted:
    """An evaluator whose mAP is given."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def scores(self, network: Network) -> Scores:
        return Scores(next(self.values), np.zeros(50), 0.0, 5, 0)


class Run:
    """A run whose epochs are given."""

    def __init__(
        self, path: Path, preset: Path, settings: list[str], values: list[float] | None = None
    ) -> None:
        config = presets.resolve(str(preset), "train", settings)
        images = TrainingImages(
            ImageStore(np.zeros((6, 32, 16, 3), np.uint8)), CAMERAS, tuple("abcdef")
        )
        network = Network("tiny", classes=2)
        self.interrupts, self.reporter = Interrupts(), Recorder()
        runtime = Runtime(reporter=self.reporter)
        self.trainer = Trainer(config, network, images, runtime, with_cameras=False)
        self.shown: list[dict[str, Any]] = []
        self.folder = RunFolder(path, config, "train", {})
        evaluator: Any = None if values is None else Scripted(values)
        self.recorder = RunRecorder(self.trainer, evaluator, {"threads": 1}, self.interrupts)
        self.recorder.folder = self.folder
        self.recorder.loggers = [self.shown.append]

    def epochs(self, count: int) -> None:
        self.recorder.after_epoch(Epoch(0))
        for number in range(1, count + 1):
            self.recorder.after_epoch(Epoch(number, PSEUDO, LOSSES, 1e-3, {"train": 1.0}))

    def at_step(self, steps: int) -> None:
        loss = {"loss_total": torch.tensor(1.0)}
        self.trainer.current = EpochState(PSEUDO, losses=[loss] * steps)
        self.recorder.at_boundary()


@pytest.mark.parametrize(("at_start", "expected"), [(False, [3, 6, 7]), (True, [0, 3, 6, 7])])
def test_evaluates_every_few_epochs_and_at_the_end(
    tmp_path: Path, tiny_preset: Path, at_start: bool, expected: list[int]
) -> None:
    settings = ["optim.epochs=7", "evaluation.every=3", f"evaluation.at_start={at_start}".lower()]
    run = Run(tmp_path, tiny_preset, settings, [0.1] * len(expected))
    run.epochs(7)
    assert [row["epoch"] for row in run.folder.rows if "mAP" in row] == expected


@pytest.mark.parametrize(
    ("values", "best"), [([0.4, 0.2, 0.5, 0.4], 2), ([0.9, 0.3, 0.2, 0.1], 0), ([0, 0, 0, 0], 0)]
)
def test_best_weights_are_those_of_the_highest_map_and_the_start_counts(
    tmp_path: Path, tiny_preset: Path, values: list[float], best: int
) -> None:
    Run(tmp_path, tiny_preset, ["optim.epochs=3"], values).epochs(3)
    about = {
        name: torch.load(tmp_path / name, weights_only=True)._metadata["pplr"]["epoch"]
        for name in ("best.pth", "last.pth")
    }
    assert about == {"best.pth": best, "last.pth": 3}


def test_without_labels_the_last_weights_are_the_result(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=2"])
    run.epochs(2)
    assert (tmp_path / "last.pth").exists()
    assert not (tmp_path / "best.pth").exists()
    assert [row["epoch"] for row in run.folder.rows] == [1, 2]


def test_saves_when_it_is_time_and_when_an_epoch_is_done(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.iters=3"])
    run.at_step(1)
    assert not (tmp_path / "state.pt").exists()
    run.at_step(3)
    assert len(load_state(tmp_path / "state.pt")["current"]["steps"]) == 3
    often = Run(tmp_path / "often", tiny_preset, ["optim.iters=3", "engine.save_minutes=1e-9"])
    often.at_step(1)
    assert len(load_state(tmp_path / "often" / "state.pt")["current"]["steps"]) == 1


def test_a_signal_saves_and_ends_the_run(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.iters=3"])
    with run.interrupts.handled():
        run.at_step(0)
        signal.raise_signal(signal.SIGUSR1)
        run.at_step(1)
        assert (tmp_path / "state.pt").exists()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            run.at_step(2)
    assert len(load_state(tmp_path / "state.pt")["current"]["steps"]) == 2


def test_records_that_cannot_be_written_do_not_end_the_run(
    tmp_path: Path, tiny_preset: Path
) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=2"])
    (tmp_path / "metrics.csv").mkdir()  # in its way
    run.epochs(1)
    assert "metrics.csv`: Is a directory: the epoch is not recorded" in run.reporter.warnings[0]
    (tmp_path / "metrics.csv").rmdir()
    run.recorder.after_epoch(Epoch(2, PSEUDO, LOSSES, 1e-3))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


def test_an_epoch_is_told_in_short_lines(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=2"], [0.2, 0.6, 0.4])
    run.epochs(2)
    assert run.reporter.warnings == []
    before, _, second = run.reporter.news
    assert before.startswith("epoch 0/2: mAP 20.0, rank-1 0.0, ")
    head, losses, scores = second.split("\n  ")
    assert head == "epoch 2/2: 3 clusters, 0 of 6 outliers, agreement 1.00, 1.0 s"
    assert losses == "loss 3.000: refinement 1.000, triplet 1.000, part 1.000; lr 1.0e-03"
    assert scores == "mAP 40.0, rank-1 0.0, best mAP 60.0 after epoch 1"


def test_health_stands_in_the_rows(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=2"])
    run.epochs(2)
    first, second = run.folder.rows
    assert first["single_camera_share"] == second["single_camera_share"] == 0.0
    assert "previous_ari" not in first
    assert second["previous_ari"] == 1.0


def test_what_is_wrong_is_told_once_and_again_at_the_end(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=6"])
    run.epochs(3)
    assert run.reporter.warnings == []
    bad = PseudoLabels(CAMERAS, np.ones((6, 3), np.float32))
    for number in (4, 5, 6):
        run.recorder.after_epoch(Epoch(number, bad, LOSSES, 1e-3, {"train": 1.0}))
    assert [each[:32] for each in run.reporter.warnings] == ["the clusters follow the cameras:"]
    run.recorder.finish()
    assert len(run.reporter.warnings) == 2


def test_what_the_last_epoch_shows_is_reported_once(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=3"])
    run.epochs(2)
    bad = PseudoLabels(CAMERAS, np.ones((6, 3), np.float32))
    run.recorder.after_epoch(Epoch(3, bad, LOSSES, 1e-3, {"train": 1.0}))
    run.recorder.finish()
    assert [each[:32] for each in run.reporter.warnings] == ["the clusters follow the cameras:"]


def test_each_recorded_row_is_shown(tmp_path: Path, tiny_preset: Path) -> None:
    run = Run(tmp_path, tiny_preset, ["optim.epochs=2"])
    run.epochs(2)
    assert [row["epoch"] for row in run.shown] == [1, 2]
