"""A network with the settings of `tiny`, and crops for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pplr_cli.config import presets
from pplr_cli.engine.network import Network
from pplr_cli.export import formats
from pplr_cli.export.choice import Choice, Format, Input
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime


@pytest.fixture(scope="session")
def model(tiny_preset: Path) -> Model:
    torch.manual_seed(0)
    config = presets.resolve(str(tiny_preset), "train")
    network = Network("tiny", classes=6)
    network.get_submodule("bnneck").running_mean.uniform_(0, 0.5)  # type: ignore[union-attr, operator]
    about = {"mode": "train", "epoch": 3, "settings": config.document()}
    return Model(network, config, Runtime(workers=1, cache=False), about)


@pytest.fixture(scope="session")
def onnx_file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Choice:
    """An ONNX file on the disk: the exporter takes seconds."""
    for name in formats.PACKAGES[Format.ONNX]:
        pytest.importorskip(name)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    choice = Choice(path, None, Format.ONNX, Input.UINT8)
    path.write_bytes(formats.build(model, choice))
    return choice


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 16, 3), np.uint8)
