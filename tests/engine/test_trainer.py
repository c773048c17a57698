"""The training loop on a tiny data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.cache import decode_images
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.network import Network
from pplr_cli.engine.pplr import PPLR
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


@pytest.fixture(params=["train", "train-cam"])
def config(request: pytest.FixtureRequest, tiny_preset: Path) -> Config:
    return presets.resolve(str(tiny_preset), request.param)


def run(
    config: Config, images: TrainingImages, *, with_cameras: bool = False
) -> tuple[Network, list[Epoch]]:
    epochs: list[Epoch] = []
    network = starting_network(config, None, Silent())
    trainer = Trainer(config, network, images, Runtime(), with_cameras=with_cameras)
    trainer.run(epochs.append)
    return network, epochs


@pytest.mark.parametrize("with_cameras", [False, True])
def test_an_epoch_tells_what_it_did(
    config: Config, images: TrainingImages, with_cameras: bool
) -> None:
    network, epochs = run(config, images, with_cameras=with_cameras)
    assert [epoch.number for epoch in epochs] == [0, 1, 2]
    assert ("loss_camera" in epochs[1].losses) == with_cameras
    assert all(np.isfinite(list(epoch.losses.values())).all() for epoch in epochs)
    assert epochs[1].rate == config.optim.lr
    seconds = epochs[1].seconds
    assert [stage for stage in seconds if "_" not in stage] == ["extract", "label", "train"]
    for stage, least in (("label", 0.5), ("train", 0.9)):  # the parts make up the stage
        parts = sum(value for name, value in seconds.items() if name.startswith(f"{stage}_"))
        assert least * seconds[stage] < parts <= seconds[stage]
    pseudo = epochs[2].pseudo
    assert pseudo is not None
    assert len(pseudo.labels) == len(images.store)
    assert network.classes == max(6, *(e.pseudo.clusters for e in epochs if e.pseudo))


def test_the_same_seed_gives_the_same_bits(tiny_preset: Path, images: TrainingImages) -> None:
    config = presets.resolve(str(tiny_preset), "train")
    first, second = (run(config, images)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = presets.resolve(str(tiny_preset), "train", ["seed=2"])
    third = run(other, images)[0].state_dict()
    assert not torch.equal(first["base.0.weight"], third["base.0.weight"])


@pytest.mark.parametrize("clusters", [0, 1])
def test_too_few_clusters_end_the_run_at_once(
    clusters: int, tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        labels_module, "cluster", lambda *_: np.full(len(images.store), clusters - 1)
    )
    with pytest.raises(TrainingError, match=f"found {clusters} clusters") as caught:
        run(presets.resolve(str(tiny_preset), "train"), images)
    assert "clustering.eps" in str(caught.value.hint)


def test_fewer_clusters_than_a_batch_holds_are_repeated(
    tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = np.arange(len(images.store)) % 2
    monkeypatch.setattr(labels_module, "cluster", lambda *_: half)
    _, epochs = run(presets.resolve(str(tiny_preset), "train"), images)
    assert len(epochs) == 3


def test_more_clusters_than_classifier_rows_grow_them(
    tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = np.arange(len(images.store)) // 2
    monkeypatch.setattr(labels_module, "cluster", lambda *_: pairs)
    network, epochs = run(presets.resolve(str(tiny_preset), "train"), images)
    assert network.classes == pairs.max() + 1
    assert len(epochs) == 3


def test_a_loss_that_is_not_finite_ends_the_run(
    tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PPLR.losses
    calls = iter(range(100))

    def spoiled(*arguments: Any) -> dict[str, torch.Tensor]:
        values = original(*arguments)
        factor = torch.nan if next(calls) == 4 else 1.0
        return {name: value * factor for name, value in values.items()}

    monkeypatch.setattr(PPLR, "losses", spoiled)
    epochs: list[Epoch] = []
    config = presets.resolve(str(tiny_preset), "train")
    network = starting_network(config, None, Silent())
    trainer = Trainer(config, network, images, Runtime(), with_cameras=False)
    with pytest.raises(TrainingError, match="epoch 2, step 2: the loss is nan; its images: `"):
        trainer.run(epochs.append)
    assert [epoch.number for epoch in epochs] == [0, 1]
