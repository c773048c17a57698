"""What is refused before training."""

from dataclasses import replace
from pathlib import Path

import pytest

from pplr_cli.config import presets
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.session.plan import check, plan


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_tiny_set_fits(manifest: Manifest, tiny_preset: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train-cam")
    check(config, "train-cam", manifest)
    assert ("image size", "32 x 16") in plan(config, manifest)


def test_the_plan_tells_what_a_run_takes(manifest: Manifest, tiny_preset: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train", ["engine.memory_gb=0.25"])
    rows = dict(plan(config, manifest))
    assert rows["memory budget"] == "0.25 GB (as set)"
    taken = {what: value for what, value in rows.items() if what.startswith("memory: ")}
    assert len(taken) == 5
    assert all(float(value.removesuffix(" GB")) < 1 for value in taken.values())


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


@pytest.mark.parametrize(("camera", "words"), [(3, "it has 1"), (-1, "it has none")])
def test_camera_mode_needs_two_cameras(
    manifest: Manifest, tiny_preset: Path, camera: int, words: str
) -> None:
    images = tuple(
        image._replace(camera=camera) if image.split == Split.TRAIN else image
        for image in manifest.images
    )
    single = replace(manifest, images=images)
    config = presets.resolve(str(tiny_preset), "train-cam")
    with pytest.raises(DataError, match=words) as caught:
        check(config, "train-cam", single)
    assert "`pplr train`" in str(caught.value.hint)
    check(config, "train", single)
