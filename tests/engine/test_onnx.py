"""The ONNX model computes what the network computes."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.engine import onnx
from pplr_cli.engine.network import Network
from pplr_cli.errors import PplrError, WeightsError

HEIGHT, WIDTH = 32, 16


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network("tiny", classes=4).eval()


@pytest.fixture(scope="module")
def content(network: Network) -> bytes:
    for name in onnx.PACKAGES:
        pytest.importorskip(name)
    return onnx.build(network, HEIGHT, WIDTH, {"epoch": 3, "mode": "train"})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)


def test_features_are_those_of_torch_at_any_batch_size(
    network: Network, content: bytes, images: np.ndarray
) -> None:
    for count in (1, 2, 5):
        assert onnx.largest_difference(content, network, images[:count]) < 1e-5


def test_the_features_of_another_network_are_refused(content: bytes, images: np.ndarray) -> None:
    torch.manual_seed(1)
    other = Network("tiny", classes=4).eval()
    with pytest.raises(WeightsError, match="nothing was written"):
        onnx.largest_difference(content, other, images)


def test_the_file_says_what_it_expects(network: Network, content: bytes) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [32, 16, 3])
    assert isinstance(given.shape[0], str)
    assert (returned.name, returned.type) == ("features", "tensor(float)")
    entries = session.get_modelmeta().custom_metadata_map
    about = {k.removeprefix("pplr."): v for k, v in entries.items() if k.startswith("pplr.")}
    assert json.loads(about["preprocessing"]) == onnx.preprocessing(HEIGHT, WIDTH)
    assert json.loads(about["output"])["shape"] == ["N", network.feature_size]
    assert (about["epoch"], about["mode"]) == ("3", "train")


def test_nothing_of_the_parts_and_classifiers_is_in_the_file(content: bytes) -> None:
    assert b"bnneck" in content
    assert b"bnneck0" not in content
    assert b"classifier" not in content


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> Any:
        if name == "onnxscript":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(onnx, "import_module", missing)
    with pytest.raises(PplrError, match="`import onnxscript` fails: No module") as caught:
        onnx.require_packages()
    assert "pip install 'pplr[onnx]'" in str(caught.value.hint)
