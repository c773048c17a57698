"""The network of the golden set."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.engine.network import Network

Rng = Callable[[str], np.random.Generator]


def fill(name: str, shape: tuple[int, ...], rng: Rng) -> np.ndarray:
    """Return the entry `name` of the golden network (rules: tests/golden/README.md)."""
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    z = rng(name).standard_normal(shape)
    if name.endswith("running_var"):
        value = 1 + 0.1 * np.abs(z)
    elif name.endswith("running_mean"):
        value = 0.1 * z
    elif len(shape) == 4:
        value = z * np.sqrt(2 / np.prod(shape[1:]))
    elif len(shape) == 2:
        value = 0.02 * z
    else:
        value = 1 + 0.1 * z if name.endswith(".weight") else 0.1 * z
    return value.astype(np.float32)


@pytest.fixture
def golden_network(golden_rng: Rng) -> Network:
    network = Network("resnet50", parts=3, classes=64)
    state = {
        name: torch.from_numpy(fill(name, tuple(value.shape), golden_rng))
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network


@pytest.fixture
def golden_images(golden_rng: Rng) -> torch.Tensor:
    return torch.from_numpy(
        golden_rng("images").standard_normal((16, 3, 128, 64), np.float64)
    ).float()


@pytest.fixture(scope="session")
def official_entries(golden_dir: Path) -> list[tuple[str, tuple[int, ...]]]:
    entries = json.loads((golden_dir / "resnet50part_state_dict.json").read_text())
    return [(name, tuple(shape)) for name, shape in entries]
