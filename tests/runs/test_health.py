"""Whether a run goes well, told without identities."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pplr_cli.app import run
from pplr_cli.data.manifest import Manifest
from pplr_cli.progress import Silent
from pplr_cli.runs.health import findings, measure, verdict
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
    assert abs(measure(labels, cameras, None)["camera_nmi"]) < 0.12


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30))
def test_single_cameras_by_counting(pairs: list[tuple[int, int]]) -> None:
    labels, cameras = np.array(pairs).T
    assume(len(np.unique(cameras)) > 1)
    seen = [set(cameras[labels == each].tolist()) for each in np.unique(labels)]
    expected = sum(len(each) == 1 for each in seen) / len(seen)
    assert measure(labels, cameras, None)["single_camera_share"] == pytest.approx(expected)


GOOD = {
    "outlier_share": 0.1,
    "largest_cluster_share": 0.04,
    "single_camera_share": 0.08,
    "camera_nmi": 0.1,
    "previous_ari": 0.9,
}


def rows(first: dict[str, float], last: dict[str, float]) -> list[dict[str, Any]]:
    return [{"epoch": 1} | GOOD | first, {"epoch": 2} | GOOD | last]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ({}, {}, ""),
        ({"single_camera_share": 0.42}, {"single_camera_share": 0.49}, "follow the cameras: 49 %"),
        ({"single_camera_share": 0.80}, {"single_camera_share": 0.49}, "follow the cameras: 49 %"),
        ({"camera_nmi": 0.6}, {"camera_nmi": 0.56}, "information with the camera 0.56"),
        ({}, {"camera_nmi": 0.16}, "drift towards the cameras: shared information 0.10 to 0.16"),
        ({"largest_cluster_share": 0.9}, {"largest_cluster_share": 0.6}, "one of them contains 60"),
        ({"outlier_share": 0.9}, {"outlier_share": 0.79}, "79 % of the images are outliers"),
    ],
)
def test_levels_and_a_drift_are_trouble(
    first: dict[str, float], last: dict[str, float], said: str
) -> None:
    found = findings(rows(first, last))
    assert len(found) == bool(said)
    assert all(said in finding.message and finding.hint for finding in found)
    assert verdict(rows(first, last)).kind == ("trouble" if said else "good")


@pytest.mark.parametrize(
    "last",
    [
        {"single_camera_share": 0.25}, {"outlier_share": 0.4}, {"previous_ari": 0.6},
        {"camera_nmi": 0.13},
    ],
)  # fmt: skip
def test_between_good_and_trouble_nobody_can_tell(last: dict[str, float]) -> None:
    ((name, value),) = last.items()
    found = verdict(rows({}, last))
    assert found.kind == "unclear"
    assert (
        f"Cannot tell whether the run goes well: runs with `{name}` {value:.2f} went either way"
        in found.text
    )


def test_one_epoch_and_unknown_cameras_are_unclear() -> None:
    assert findings([]) == []
    assert verdict([]).kind == verdict([{"epoch": 1} | GOOD]).kind == "unclear"
    bare = [{k: v for k, v in row.items() if "camera" not in k} for row in rows({}, {})]
    assert findings(bare) == []
    assert verdict(bare).kind == "unclear"
    assert "without cameras" in verdict(bare).text


@pytest.mark.parametrize(
    ("values", "epochs", "fell"),
    [
        ((0.6, 0.5), 5, False),  # one epoch below the start is normal
        ((0.6, 0.5), 1, True),  # but not at the end
        ((0.6, 0.5, 0.55), 5, True),
        ((0.6, 0.5, 0.61), 5, False),
        ((0.6, 0.5, 0.7, 0.5), 3, True),
        ((0.6, 0.597), 1, False),
        ((0.6,), 1, False),
        ((), 1, False),
    ],
)
def test_a_fall_of_the_map_is_trouble(values: tuple[float, ...], epochs: int, fell: bool) -> None:
    found = findings([{"epoch": n, "mAP": value} for n, value in enumerate(values)], epochs)
    assert [finding.kind for finding in found] == ["retrieval"] * fell
    for finding in found:
        assert f"the mAP fell from 60.0 to {100 * values[-1]:.1f}" in finding.message
        assert "`optim.lr`" in finding.hint


def test_the_camera_mode_is_not_told_to_use_itself() -> None:
    bad = GOOD | {"single_camera_share": 0.6}
    (plain,) = findings([bad, bad])
    (cameras,) = findings([bad, bad | {"loss_camera": 1.0}])
    assert "train-cam" in plain.hint
    assert "train-cam" not in cameras.hint
    assert "`optim.lr`" in plain.hint
    assert "`optim.lr`" in cameras.hint


RUNS = {
    # mAP at the start and at the end; camera_nmi of the first epoch; then of the last epoch:
    # single_camera_share, camera_nmi, outlier_share, previous_ari
    "demo": (62.8, 83.1, 0.15, (0.01, 0.06, 0.04, 0.93), "good"),
    "demo, train-cam": (62.8, 85.7, 0.15, (0.01, 0.07, 0.03, 0.97), "good"),
    "easy": (88.3, 77.5, 0.08, (0.13, 0.14, 0.08, 0.84), "trouble"),
    "easy, train-cam": (88.3, 86.7, 0.082, (0.07, 0.096, 0.03, 0.92), "good"),  # missed
    "easy, eps 0.1": (88.3, 68.1, 0.19, (0.39, 0.36, 0.66, 0.91), "trouble"),
    "harsh": (83.0, 63.9, 0.09, (0.24, 0.29, 0.07, 0.91), "trouble"),
    "harsh, lr 2e-4": (83.0, 77.0, 0.09, (0.09, 0.13, 0.08, 0.95), "unclear"),
    "harsher": (59.0, 27.4, 0.47, (0.59, 0.66, 0.15, 0.78), "trouble"),
    "harsher, train-cam": (59.0, 36.2, 0.47, (0.45, 0.58, 0.11, 0.80), "trouble"),
    "harshest": (30.9, 12.4, 0.72, (0.65, 0.83, 0.20, 0.85), "trouble"),
    "people, weak start": (16.3, 10.8, 0.60, (0.63, 0.74, 0.19, 0.66), "trouble"),
    "people, weak, train-cam": (16.3, 12.1, 0.60, (0.62, 0.74, 0.21, 0.77), "trouble"),
    "people, fair start": (29.3, 18.9, 0.50, (0.54, 0.70, 0.19, 0.75), "trouble"),
    "people, good start": (40.4, 33.2, 0.58, (0.46, 0.60, 0.16, 0.74), "trouble"),
    "people, drawn start": (3.5, 3.7, 0.60, (0.47, 0.61, 0.68, 0.79), "trouble"),
    "vehicles": (61.6, 68.6, 0.03, (0.02, 0.04, 0.32, 0.73), "unclear"),
}
"""16 of the 27 runs of docs/health.md, with the verdict on each."""


@pytest.mark.parametrize("name", RUNS)
def test_the_verdict_on_measured_runs_without_their_map(name: str) -> None:
    *_, first, last, kind = RUNS[name]
    names = ("single_camera_share", "camera_nmi", "outlier_share", "previous_ari")
    course = rows({"camera_nmi": first}, dict(zip(names, last, strict=True)))
    assert verdict(course).kind == kind


def test_no_run_that_gained_much_is_called_trouble_and_none_that_lost_much_good() -> None:
    gains = [(after - before, kind) for before, after, *_, kind in RUNS.values()]
    assert all(kind != "trouble" for gain, kind in gains if gain > 1)
    assert all(kind != "good" for gain, kind in gains if gain < -2)


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
    assert ("no sign of trouble" in page) != bool(said)
