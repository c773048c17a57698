"""Estimates of memory against measurements."""

import subprocess
import sys
from pathlib import Path

import pytest

from pplr_cli import host
from pplr_cli.config import presets
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.engine import memory

STAGE = """
import re, numpy as np, torch
from pathlib import Path
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.labelling.stage import label
def status(key):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{key}:\\s+(\\d+)", text, re.MULTILINE)[1])
torch.manual_seed(0)
identities = torch.randn(400, 32).repeat_interleave(20, 0)
noise = torch.randn(4, 8000, 32) * torch.rand(8000, 1) * 2
features = torch.nn.functional.normalize(identities + noise, dim=2)
label(features[:, :200], np.zeros(200, int), Clustering(), Agreement())
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
label(features, np.zeros(8000, int), Clustering(), Agreement())
print(status("VmHWM") - before)
"""


def resettable() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def test_the_budget_is_the_setting_or_half_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "memory", lambda: {"total": 9 << 30, "free": 6 << 30})
    assert memory.budget(1.5) == 1_500_000_000
    assert memory.budget(None) == 3 << 30
    monkeypatch.setattr(host, "memory", lambda: {"total": 0, "free": 0})
    assert memory.distance_block(memory.budget(None)) == memory.LARGEST_BLOCK


def test_a_block_is_a_quarter_of_the_budget_at_most() -> None:
    assert memory.distance_block(4000) == 1000
    assert memory.distance_block(1 << 40) == memory.LARGEST_BLOCK


@pytest.mark.skipif(not resettable(), reason="needs a resettable peak of resident memory")
def test_the_label_stage_needs_what_is_estimated() -> None:
    done = subprocess.run([sys.executable, "-c", STAGE], check=True, capture_output=True, text=True)
    estimate = memory.label_stage(8000, 3, 32, Clustering(), Agreement())
    assert 0.3 * estimate < int(done.stdout) < 2 * estimate  # threads and allocators differ


def test_evaluation_needs_two_blocks_and_the_features() -> None:
    assert memory.retrieval(10, 20, 5, 1 << 30) == 4 * 30 * 5 + 2 * 4 * 10 * 20
    assert memory.retrieval(1000, 20, 5, 16_000) == 4 * 1020 * 5 + 2 * 4000
    assert memory.retrieval(1000, 20, 5, 1) == 4 * 1020 * 5 + 2 * 80  # a row is the least
    assert memory.retrieval(0, 0, 5, 1 << 30) == 0


def test_batches_of_twice_the_size_need_twice_the_memory(tiny_preset: Path) -> None:
    small, large = (
        memory.training(presets.resolve(str(tiny_preset), "train", [f"batch.size={size}"]))
        for size in (16, 32)
    )
    assert small.state == large.state > 16 * 600_000
    assert large.batch == pytest.approx(2 * small.batch, rel=0.05)
    assert small.feature_size == 128


def test_a_resnet_needs_what_its_layers_keep() -> None:
    config = presets.resolve("market", "train", ["model.weights=random"])
    found = memory.training(config)
    assert found.state == pytest.approx(16 * (23.5e6 + 4 * 3000 * 2048), rel=0.01)
    assert 4e9 < found.batch < 10e9  # a ResNet-50 keeps about 0.1 GB for each image of 384 x 128
