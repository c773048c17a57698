"""What is refused before training."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.config import presets
from pplr_cli.data.images import Names, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError, WeightsError
from pplr_cli.session.inputs import check, check_cameras, find_inputs
from pplr_cli.session.request import TrainingRequest
from tests.shared_reporter import Recorder


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_tiny_set_fits(manifest: Manifest, tiny_preset: Path) -> None:
    check(presets.resolve(str(tiny_preset), "train-cam"), manifest)


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
        check(config, manifest)


@pytest.mark.parametrize(
    ("camera", "of", "words"),
    [
        (3, 96, "all training images are of one camera, `yard`;"),
        (-1, 96, "no training image has a camera label;"),
        (-1, 5, "only 91 of 96 training images have a camera label;"),
    ],
)
def test_camera_mode_needs_two_cameras(
    manifest: Manifest, options: dict[str, Any], camera: int, of: int, words: str
) -> None:
    changed = set(manifest.split(Split.TRAIN).paths[:of])
    images = tuple(
        image._replace(camera=camera) if image.path in changed else image
        for image in manifest.images
    )
    own = replace(manifest, layout="folder", images=images, names=Names(cameras={3: "yard"}))
    request = TrainingRequest(**(options | {"mode": "train-cam"}))
    with pytest.raises(DataError, match=words) as caught:
        check_cameras(request, own)
    without, cameras = str(caught.value.hint).splitlines()
    assert without == f"train without cameras: `{TrainingRequest(**options).command()}`"
    assert "`pplr prepare folder CROPS --name tiny --pattern " in cameras
    assert " --update`" in cameras
    with pytest.raises(DataError) as caught:
        check_cameras(request, replace(own, layout="market"))
    assert caught.value.hint == without
    check_cameras(request, manifest)


def test_an_unknown_data_set_names_the_command_that_takes_one(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="`shop`: no such data set") as caught:
        find_inputs(TrainingRequest(**(options | {"data": "shop"})), 1, Recorder())
    command = TrainingRequest(**(options | {"data": "NAME"})).command()
    assert f"prepared data sets: `tiny`: `{command}`\n" in str(caught.value.hint)


def test_a_dry_run_downloads_no_weights(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise WeightsError("no connection")

    monkeypatch.setattr("pplr_cli.weights.initial.obtain", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    options["settings"] = ("model.backbone=resnet18", "model.weights=imagenet")
    with pytest.raises(WeightsError, match="no connection"):
        find_inputs(TrainingRequest(**options), 1, Recorder())
    found = find_inputs(TrainingRequest(**options, dry_run=True), 1, Recorder())
    assert found.weights is None
    assert found.download is not None
    assert found.download.name == "resnet18"


def test_prepared_data_is_checked_before_weights_are_downloaded(
    options: dict[str, Any], manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def download(*_: Any, **__: Any) -> None:
        raise WeightsError("no connection")

    monkeypatch.setattr("pplr_cli.session.inputs.initial_weights", download)
    images = tuple(image._replace(camera=3) for image in manifest.images)
    one = Path(shutil.copytree(options["data_dir"], tmp_path / "one", symlinks=True))
    replace(manifest, images=images).save(one / "tiny")
    request = TrainingRequest(**(options | {"mode": "train-cam", "data_dir": one}))
    with pytest.raises(DataError, match="all training images are of one camera"):
        find_inputs(request, 1, Recorder())
    with pytest.raises(WeightsError):  # verifying the images takes longer
        find_inputs(replace(request, verify=True), 1, Recorder())


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
