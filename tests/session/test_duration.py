"""How long a run takes."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pplr_cli.config import presets
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.session.duration import times
from pplr_cli.session.inputs import Inputs
from pplr_cli.session.speed import Speed


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_time_of_a_run_follows_from_its_measured_speed(
    manifest: Manifest, tiny_preset: Path
) -> None:
    config = presets.resolve(str(tiny_preset), "train", ["evaluation.every=4", "optim.epochs=10"])
    found = manifest.split(Split.TRAIN)
    inputs = Inputs(config, None, manifest, found, None, None)
    images = SimpleNamespace(paths=found.paths, cameras=found.cameras, tracks=None)
    trainer: Any = SimpleNamespace(
        config=config,
        images=images,
        device="cpu",
        processes=SimpleNamespace(size=1),
        epoch=1,
        current=None,
    )
    rows = dict(times(trainer, inputs, Speed(step=2.0, image=0.5, search=3.0)).rows())
    tested = len(manifest.split(Split.QUERY)) + len(manifest.split(Split.GALLERY))
    assert tested == 48
    assert rows["neighbours, exact"] == "about 0:03 an epoch"
    assert rows["each training image"] == "seen 0.5 times an epoch"
    assert rows["a step, measured"] == "2.000 s (8 images/s)"
    assert rows["an epoch"].startswith("about 0:57,")  # 3 steps of 2 s, 96 images of 0.5 s, 3 s
    assert rows["the run"] == "about 9:45: 9 epochs, 3 evaluations"  # of 48 images of 0.5 s
    found_tracks = config.clustering.model_copy(update={"find_tracks": True})
    own = inputs._replace(config=config.model_copy(update={"clustering": found_tracks}))
    share = np.square(np.unique(found.cameras, return_counts=True)[1] / len(found)).sum()
    seconds = times(trainer, own, Speed(step=2.0, image=0.5, search=3.0)).search
    assert seconds == pytest.approx(3.0 / (1 + config.model.parts) * share)
    images.tracks = object()
    rows = dict(times(trainer, inputs, Speed(step=2.0, image=0.5, search=3.0)).rows())
    assert rows["an epoch"].startswith("about 1:42,")
    assert "neighbours, exact" not in rows


@pytest.mark.parametrize(
    ("labelled", "at_start", "epoch", "current", "epochs"),
    [
        (True, False, 0, None, "5 epochs, 3 evaluations"),  # after 2, 4 and 5
        (True, True, 0, None, "5 epochs, 4 evaluations"),
        (True, True, 0, object(), "5 epochs, 3 evaluations"),  # resumed in the first epoch
        (True, True, 2, None, "3 epochs, 2 evaluations"),
        (False, True, 0, None, "5 epochs"),
    ],
)
def test_the_evaluations_of_a_run_are_counted(
    manifest: Manifest,
    tiny_preset: Path,
    labelled: bool,
    at_start: bool,
    epoch: int,
    current: object,
    epochs: str,
) -> None:
    changes = ["evaluation.every=2", "optim.epochs=5", f"evaluation.at_start={at_start}"]
    config = presets.resolve(str(tiny_preset), "train", changes)
    found = manifest.split(Split.TRAIN)
    if not labelled:
        kept = tuple(image for image in manifest.images if image.split == Split.TRAIN)
        manifest = replace(manifest, images=kept)
    processes = SimpleNamespace(size=1)
    images = SimpleNamespace(paths=found.paths, cameras=found.cameras, tracks=None)
    trainer: Any = SimpleNamespace(
        config=config,
        images=images,
        device="cpu",
        processes=processes,
        epoch=epoch,
        current=current,
    )
    inputs = Inputs(config, None, manifest, found, None, None)
    rows = dict(times(trainer, inputs, Speed(step=2.0, image=0.5, search=3.0)).rows())
    assert rows["the run"].partition(": ")[2] == epochs
