"""What is refused before training."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.config import presets
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.session.inputs import check, find_inputs
from pplr_cli.session.request import TrainingRequest
from tests.shared_reporter import Recorder


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_tiny_set_fits(manifest: Manifest, tiny_preset: Path) -> None:
    check(presets.resolve(str(tiny_preset), "train-cam"), "train-cam", manifest)


@pytest.mark.parametrize(
    ("setting", "key", "need"),
    [
        ("clustering.k1=97", "clustering.k1", 97),
        ("agreement.k=96", "agreement.k", 97),
        ("batch.size=128", "batch.size", 128),
    ],
)
def test_too_few_images(
    manifest: Manifest, tiny_preset: Path, setting: str, key: str, need: int
) -> None:
    config = presets.resolve(str(tiny_preset), "train", [setting])
    with pytest.raises(UsageError, match=rf"96 training images, `{key}` needs {need}"):
        check(config, "train", manifest)


@pytest.mark.parametrize(
    ("camera", "of", "words"),
    [(3, 96, "it has 1"), (-1, 96, "it has 0"), (-1, 5, "5 of 96 have none")],
)
def test_camera_mode_needs_two_cameras(
    manifest: Manifest, tiny_preset: Path, camera: int, of: int, words: str
) -> None:
    changed = set(manifest.split(Split.TRAIN).paths[:of])
    images = tuple(
        image._replace(camera=camera) if image.path in changed else image
        for image in manifest.images
    )
    single = replace(manifest, images=images)
    config = presets.resolve(str(tiny_preset), "train-cam")
    with pytest.raises(DataError, match=words) as caught:
        check(config, "train-cam", single)
    assert "`pplr train`" in str(caught.value.hint)
    check(config, "train", single)


def test_settings_of_the_camera_block_warn_in_train(options: dict[str, Any]) -> None:
    for mode, count in (("train", 1), ("train-cam", 0)):
        reporter = Recorder()
        settings = ("camera.clustering.eps=0.45",)
        find_inputs(
            TrainingRequest(**(options | {"mode": mode, "settings": settings})), 1, reporter
        )
        assert sum("has no effect on `pplr train`" in each for each in reporter.warnings) == count


def test_near_duplicates_that_cannot_be_found_are_mentioned(
    options: dict[str, Any], manifest: Manifest, tmp_path: Path
) -> None:
    images = tuple(image._replace(camera=3) for image in manifest.images)
    one = Path(shutil.copytree(options["data_dir"], tmp_path / "one", symlinks=True))
    replace(manifest, images=images).save(one / "tiny")
    for folder, count in ((options["data_dir"], 0), (one, 1)):
        reporter = Recorder()
        settings = ("clustering.find_tracks=true",)
        changed = {"data_dir": folder, "settings": settings}
        find_inputs(TrainingRequest(**(options | changed)), 1, reporter)
        assert sum("needs two known cameras" in each for each in reporter.news) == count
