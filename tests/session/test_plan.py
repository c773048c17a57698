"""What a run needs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pplr_cli.config import presets
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.session.plan import needs
from pplr_cli.weights.initial import to_download


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_plan_tells_what_a_run_takes(manifest: Manifest, tiny_preset: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train", ["engine.memory_gb=0.25"])
    rows = dict(needs(config, manifest).rows())
    assert rows["image size"] == "32 x 16"
    assert rows["memory budget"] == "250.0 MB (as set)"
    taken = {what: value for what, value in rows.items() if what.startswith("memory: ")}
    assert len(taken) == 6
    assert all(re.fullmatch(r"[1-9]\d*\.\d [kM]B", value) for value in taken.values())
    assert "download before training" not in rows


@pytest.mark.parametrize("cache", ["pixels", "compact", "none"])
def test_the_plan_tells_what_the_cache_takes(
    manifest: Manifest, tiny_preset: Path, cache: str
) -> None:
    config = presets.resolve(str(tiny_preset), "train", [f"data.cache={cache}", "data.height=2000"])
    bytes_of = {
        "pixels": 144 * 2000 * 16 * 3,
        "compact": sum(file.stat().st_size for file in manifest.split(None).files),
        "none": 0,
    }
    assert needs(config, manifest).disk.images == bytes_of[cache]


def test_the_plan_tells_what_is_downloaded_first(manifest: Manifest, tiny_preset: Path) -> None:
    changes = ["model.backbone=resnet18", "model.weights=imagenet"]
    config = presets.resolve(str(tiny_preset), "train", changes)
    rows = dict(needs(config, manifest, download=to_download(config.model)).rows())
    told = "`resnet18`, 46.8 MB (`model.weights` = `imagenet`)"
    assert rows["download before training"] == told
    changes = ["model.backbone=resnet18_ibn_a", "model.weights=ibn"]
    config = presets.resolve(str(tiny_preset), "train", changes)
    rows = dict(needs(config, manifest, download=to_download(config.model)).rows())
    assert "size not published" in rows["download before training"]


def test_the_plan_leaves_out_what_takes_no_memory(manifest: Manifest, tiny_preset: Path) -> None:
    kept = tuple(image for image in manifest.images if image.split == Split.TRAIN)
    config = presets.resolve(str(tiny_preset), "train")
    rows = dict(needs(config, replace(manifest, images=kept), tracked=True).rows())
    assert not {"memory: evaluation", "memory: label stage, above the features"} & rows.keys()
