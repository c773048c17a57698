"""Whether a run goes well, told without identities."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.app import run
from pplr_cli.data.manifest import Manifest
from pplr_cli.progress import Silent
from pplr_cli.runs import health
from pplr_cli.runs.health import findings, measure
from pplr_cli.synthetic.world import World, make

CAMERAS = np.array([0, 0, 1, 1, 2, 2, 0, 1])


def test_measures_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, -1, -1])
    found = measure(labels, CAMERAS, np.array([5, 5, 5, 5, 7, 7, 7, 7]))
    assert found["outlier_share"] == 0.25
    assert found["largest_cluster_share"] == 0.5
    assert found["single_camera_share"] == 0.5
    assert found["previous_ari"] == 1.0
    assert found["camera_nmi"] == pytest.approx(1.0)  # the camera says which of the two it is


def test_clusters_that_are_the_cameras_tell_all() -> None:
    found = measure(CAMERAS, CAMERAS, None)
    assert found["single_camera_share"] == 1.0
    assert found["camera_nmi"] == pytest.approx(1.0)
    assert "previous_ari" not in found


@pytest.mark.parametrize("cameras", [np.zeros(8, int), np.full(8, -1), np.array([-1, 0] * 4)])
def test_without_two_known_cameras_nothing_is_said_of_them(cameras: np.ndarray) -> None:
    assert set(measure(CAMERAS, cameras, None)) == {"outlier_share", "largest_cluster_share"}


@given(st.integers(0, 1000))
def test_chance_is_no_information(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, cameras = rng.integers(0, 150, 600), rng.integers(0, 5, 600)
    assert abs(health.camera_information(labels, cameras)) < 0.12


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30))
def test_single_cameras_by_counting(pairs: list[tuple[int, int]]) -> None:
    labels, cameras = np.array(pairs).T
    seen = [set(cameras[labels == each].tolist()) for each in np.unique(labels)]
    expected = sum(len(each) == 1 for each in seen) / len(seen)
    assert health.single_camera_share(labels, cameras) == expected


GOOD = {
    "outlier_share": 0.1,
    "largest_cluster_share": 0.04,
    "single_camera_share": 0.08,
    "camera_nmi": 0.1,
}


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ({}, {}, ""),
        ({"single_camera_share": 0.42}, {"single_camera_share": 0.49}, "follow the cameras: 49 %"),
        ({"single_camera_share": 0.80}, {"single_camera_share": 0.49}, ""),  # falling
        ({}, {"camera_nmi": 0.23}, "drift towards the cameras: shared information 0.10 to 0.23"),
        ({"largest_cluster_share": 0.5}, {"largest_cluster_share": 0.6}, "one of them holds 60 %"),
        ({"outlier_share": 0.7}, {"outlier_share": 0.7}, "70 % of the images are outliers"),
    ],
)
def test_says_what_is_wrong(first: dict[str, Any], last: dict[str, Any], said: str) -> None:
    found = findings([{"epoch": 0, "mAP": 0.5}, GOOD | first, GOOD | last])
    assert len(found) == bool(said)
    assert all(said in finding.message and finding.hint for finding in found)


def test_one_epoch_is_no_trend() -> None:
    assert findings([]) == []
    assert findings([{"epoch": 0}, GOOD | {"single_camera_share": 1.0, "outlier_share": 0.9}]) == []
    (found,) = findings([GOOD | {"largest_cluster_share": 0.8}])
    assert found.kind == "collapse"


def test_the_camera_mode_is_not_told_to_use_itself() -> None:
    bad = GOOD | {"single_camera_share": 0.6}
    (plain,) = findings([bad, bad])
    (cameras,) = findings([bad, bad | {"loss_camera": 1.0}])
    assert "train-cam" in plain.hint
    assert "train-cam" not in cameras.hint


def test_without_cameras_nothing_is_said_of_them() -> None:
    rows = [{"outlier_share": 0.1, "largest_cluster_share": 0.1}] * 2
    assert findings(rows) == []


PRESET = """
data: {name: world, height: 96, width: 48}
model: {backbone: tiny, weights: synthetic, classes: 40}
clustering: {k1: 12, eps: 0.45}
agreement: {k: 10}
batch: {size: 32, instances: 4, replicas: 2}
optim: {epochs: 2, iters: 6, lr: 5.0e-4}
"""


@pytest.mark.parametrize(
    ("rendering", "turn", "said"),
    [(0.3, 0.5, ""), (4.0, 1.0, "warning: the clusters follow the cameras: ")],
)
def test_a_run_that_goes_well_and_one_that_does_not(
    rendering: float, turn: float, said: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The same people under cameras that differ little, and under ones that differ very much."""
    world = World(
        stream=0, train_people=20, test_people=1, visits=(4, 5), shots=(3, 4),
        rendering=rendering, turn=turn,
    )  # fmt: skip
    root = tmp_path / "world" / "images"
    images = make(root, world, seed=0, reporter=Silent())
    Manifest("world", "synthetic", root, tuple(images), {}).save(tmp_path / "world")
    (tmp_path / "preset.yaml").write_text(PRESET)
    options = ["--preset", str(tmp_path / "preset.yaml"), "--data-dir", str(tmp_path)]
    assert run(["train", *options, "--run-dir", str(tmp_path / "run"), "-q"]) == 0
    told = capsys.readouterr().err
    assert said in told
    assert ("warning" in told) == bool(said)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ("The clusters follow the cameras" in page) == bool(said)
    assert ("No sign of trouble" in page) != bool(said)
