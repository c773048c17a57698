"""A trainer restored from any of its states goes on as if it had never stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.cache import decode_images
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import load_state, save_state
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.start import starting_network
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import TrainingError
from pplr_cli.labelling import stage as labels_module
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime


@pytest.fixture
def images(tiny_data: Path) -> TrainingImages:
    found = Manifest.load(tiny_data / "tiny" / "manifest.json").split(Split.TRAIN)
    pixels = decode_images(found, 32, 16, Silent(), 2)
    return TrainingImages(ImageStore(pixels), found.cameras, found.paths)


def new_trainer(config: Config, images: TrainingImages, *, with_cameras: bool) -> Trainer:
    network = starting_network(config, None, Silent())
    return Trainer(config, network, images, Runtime(), with_cameras=with_cameras)


def assert_equal(one: Any, other: Any) -> None:
    """Compare nested states bit by bit; times may differ."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"seconds"}:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_equal(mine, theirs)
    else:
        assert one == other


@pytest.mark.parametrize("mode", ["train", "train-cam"])
def test_every_state_of_a_run_leads_to_its_end(
    tiny_preset: Path, images: TrainingImages, tmp_path: Path, mode: Any
) -> None:
    config = presets.resolve(str(tiny_preset), mode, ["optim.iters=2"])
    cameras = mode == "train-cam"
    trainer = new_trainer(config, images, with_cameras=cameras)
    paths: list[Path] = []

    def keep() -> None:
        paths.append(tmp_path / f"{len(paths)}.pt")
        save_state(trainer.state_dict(), paths[-1])

    epochs: list[Epoch] = []
    trainer.run(epochs.append, keep)
    end = load_state(paths[-1])
    del end["format"]
    assert len(paths) == 7  # before, between and after the steps of each epoch, and at the end
    for path in paths:
        state = load_state(path)
        other = new_trainer(config, images, with_cameras=cameras)
        other.load_state_dict(state)
        seen: list[Epoch] = []
        other.run(seen.append)
        assert_equal(other.state_dict(), end)
        for mine, theirs in zip(seen[::-1], epochs[::-1], strict=False):
            assert (mine.number, mine.losses, mine.rate) == (
                theirs.number, theirs.losses, theirs.rate
            )  # fmt: skip


def test_grown_classifiers_are_restored(
    tiny_preset: Path, images: TrainingImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = torch.arange(len(images.store)).numpy() // 2
    monkeypatch.setattr(labels_module, "cluster", lambda *_: pairs)
    config = presets.resolve(str(tiny_preset), "train", ["optim.epochs=1"])
    trainer = new_trainer(config, images, with_cameras=False)
    trainer.run(lambda _: None)
    save_state(trainer.state_dict(), tmp_path / "state.pt")
    other = new_trainer(config, images, with_cameras=False)
    assert other.network.classes == 6
    other.load_state_dict(load_state(tmp_path / "state.pt"))
    assert other.network.classes == pairs.max() + 1
    assert_equal(other.state_dict(), trainer.state_dict())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_not_kept(
    tiny_preset: Path, images: TrainingImages, value: float
) -> None:
    config = presets.resolve(str(tiny_preset), "train")
    trainer = new_trainer(config, images, with_cameras=False)
    trainer.state_dict()
    with torch.no_grad():
        trainer.network.head("1").weight[2, 3] = value
    with pytest.raises(TrainingError, match=r"epoch 1: `classifier.*weight` holds NaN or inf"):
        trainer.state_dict()
