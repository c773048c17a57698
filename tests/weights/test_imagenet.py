"""ImageNet weights as a local file."""

import hashlib
import socket
from pathlib import Path

import pytest

from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import imagenet as module
from pplr_cli.weights.catalogue import ImageNet
from pplr_cli.weights.imagenet import imagenet_file

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageNet:
    """A backbone whose server is not there, with an empty TORCH_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry = ImageNet("resnet18", f"http://127.0.0.1:{port}/resnet18-{SHA256}.pth")
    monkeypatch.setattr(module, "imagenet", lambda backbone: entry)
    return entry


def test_local_file_needs_no_network(entry: ImageNet) -> None:
    entry.target.parent.mkdir(parents=True)
    entry.target.write_bytes(CONTENT)
    assert imagenet_file("resnet18", Silent()) == entry.target


def test_damaged_local_file_is_neither_used_nor_removed(entry: ImageNet) -> None:
    entry.target.parent.mkdir(parents=True)
    entry.target.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="wrong content") as caught:
        imagenet_file("resnet18", Silent())
    assert str(entry.target) in caught.value.message
    assert entry.target.read_bytes() == CONTENT[:-1]


def test_without_a_network_both_ways_out_are_named(entry: ImageNet) -> None:
    with pytest.raises(WeightsError) as caught:
        imagenet_file("resnet18", Silent())
    assert entry.url in caught.value.message
    hint = str(caught.value.hint)
    assert str(entry.target) in hint
    assert "TORCH_HOME" in hint
    assert "`--set model.weights=FILE`" in hint
    assert "`random`" in hint
