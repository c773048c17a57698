"""A network of random weights, and crops."""

from pathlib import Path

import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.engine.network import Network
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime


@pytest.fixture
def tiny_model(tiny_preset: Path) -> Model:
    """A model of random weights for images of 32 x 16, in batches of 4."""
    torch.manual_seed(0)
    config = presets.resolve(str(tiny_preset), "train", ["engine.extract_batch=4"])
    return Model(Network("tiny", classes=6), config, Runtime(workers=2), {})
