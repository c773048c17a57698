"""Weights files of our own."""

import hashlib
from pathlib import Path

import pytest
import torch

from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network
from pplr_cli.weights.loading import read_state_dict

ABOUT = {"mode": "train", "epoch": 3, "settings": {"data": {"name": "tiny"}}}


def test_file_is_a_plain_state_dict(tmp_path: Path) -> None:
    network, other = Network("tiny", classes=4), Network("tiny", classes=4)
    path = tmp_path / "best.pth"
    save_weights(network, path, ABOUT)
    other.load_state_dict(torch.load(path, weights_only=True))
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_settings_stand_in_the_metadata(tmp_path: Path) -> None:
    save_weights(Network("tiny", classes=4), tmp_path / "a.pth", ABOUT)
    about = read_state_dict(tmp_path / "a.pth").about
    assert about is not None
    assert ABOUT.items() <= about.items()


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.pth"
    network = Network("tiny", classes=4)
    save_weights(network, path, ABOUT)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def full(state: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(network, path, ABOUT)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert [file.name for file in tmp_path.iterdir()] == ["best.pth"]
