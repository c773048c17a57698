"""What a run needs."""

from pathlib import Path

import pytest

from pplr_cli.config import presets
from pplr_cli.data.manifest import Manifest
from pplr_cli.session.plan import needs


@pytest.fixture
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_the_plan_tells_what_a_run_takes(manifest: Manifest, tiny_preset: Path) -> None:
    config = presets.resolve(str(tiny_preset), "train", ["engine.memory_gb=0.25"])
    rows = dict(needs(config, manifest).rows())
    assert rows["image size"] == "32 x 16"
    assert rows["memory budget"] == "0.25 GB (as set)"
    taken = {what: value for what, value in rows.items() if what.startswith("memory: ")}
    assert len(taken) == 6
    assert all(float(value.removesuffix(" GB")) < 1 for value in taken.values())


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
