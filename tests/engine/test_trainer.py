"""The training loop on a tiny data set, and its states: each of them leads to the same end."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import load_state, save_state
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.network import Network, initial_network
from pplr_cli.engine.pplr import PPLR
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import TrainingError
from pplr_cli.labelling import stage as labels_module
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime
from tests.shared_reporter import Recorder


@pytest.fixture
def images(tiny_data: Path) -> TrainingImages:
    found = Manifest.load(tiny_data / "tiny" / "manifest.json").split(Split.TRAIN)
    pixels = decode_images(found, 32, 16, Silent(), 2)
    return TrainingImages(ImageStore(pixels), found.cameras, found.paths)


@pytest.fixture(params=["train", "train-cam"])
def config(request: pytest.FixtureRequest, tiny_preset: Path) -> Config:
    return presets.resolve(str(tiny_preset), request.param)


def new_trainer(config: Config, images: TrainingImages, *, with_cameras: bool) -> Trainer:
    network = initial_network(config, None, Silent())
    return Trainer(config, network, images, Runtime(), with_cameras=with_cameras)


def run(
    config: Config, images: TrainingImages, *, with_cameras: bool = False
) -> tuple[Network, list[Epoch]]:
    epochs: list[Epoch] = []
    trainer = new_trainer(config, images, with_cameras=with_cameras)
    trainer.run(epochs.append)
    return trainer.network, epochs


@pytest.mark.parametrize("with_cameras", [False, True])
def test_the_record_of_an_epoch(config: Config, images: TrainingImages, with_cameras: bool) -> None:
    network, epochs = run(config, images, with_cameras=with_cameras)
    assert [epoch.number for epoch in epochs] == [0, 1, 2]
    assert ("loss_camera" in epochs[1].losses) == with_cameras
    assert all(np.isfinite(list(epoch.losses.values())).all() for epoch in epochs)
    assert epochs[1].rate == config.optim.lr
    seconds = epochs[1].seconds
    assert [stage for stage in seconds if "_" not in stage] == ["extract", "label", "train"]
    for stage in ("label", "train"):  # the parts make up most of the stage, even on busy cores
        parts = sum(value for name, value in seconds.items() if name.startswith(f"{stage}_"))
        assert 0.5 * seconds[stage] < parts <= seconds[stage]
    pseudo = epochs[2].pseudo
    assert pseudo is not None
    assert len(pseudo.labels) == len(images.store)
    assert network.classes == max(6, *(e.pseudo.clusters for e in epochs if e.pseudo))


def test_every_wait_for_the_gpu_is_measured(
    tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps: the only check of their losses is after the last one."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    original = torch.Tensor.tolist

    def slow(tensor: torch.Tensor) -> Any:
        now[0] += 5.0
        return original(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", slow)
    _, epochs = run(presets.resolve(str(tiny_preset), "train"), images)
    assert [epoch.seconds["train_wait"] for epoch in epochs[1:]] == [5.0, 5.0]


def test_extraction_ends_when_the_gpu_has_the_features(
    tiny_preset: Path, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of its queued work counts as that of the neighbour search."""
    trainer = new_trainer(presets.resolve(str(tiny_preset), "train"), images, with_cameras=False)
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    trainer._extract()
    assert not waited
    trainer.device = torch.device("cuda", 1)
    trainer._extract()
    assert waited == [trainer.device]


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
    trainer = new_trainer(config, images, with_cameras=False)
    with pytest.raises(TrainingError, match="epoch 2, step 2: the loss is nan; its images: `"):
        trainer.run(epochs.append)
    assert [epoch.number for epoch in epochs] == [0, 1]


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_state_saved_on_a_gpu_leads_to_the_same_end(
    tiny_preset: Path, images: TrainingImages, tmp_path: Path, precision: Any
) -> None:
    config = presets.resolve(str(tiny_preset), "train-cam", ["optim.iters=8"])
    heard = Recorder()
    runtime = Runtime(torch.device("cuda", 0), heard, precision)
    images = images._replace(store=ImageStore(images.store.pixels, runtime.device))

    def begun() -> Trainer:
        network = initial_network(config, None, Silent())
        return Trainer(config, network, images, runtime, with_cameras=True)

    trainer, path = begun(), tmp_path / "state.pt"

    def keep() -> None:
        if trainer.epoch == 1 and trainer.current is not None and trainer.current.steps == 5:
            save_state(trainer.state_dict(), path)

    trainer.run(lambda _: None, keep)
    other = begun()
    other.load_state_dict(load_state(path))
    other.run(lambda _: None)
    tolerance = 1e-3 if precision == "fp32" else 5e-2
    for name, weight in trainer.network.state_dict().items():
        change = (other.network.state_dict()[name].double() - weight.double()).norm()
        assert change <= tolerance * weight.double().norm().clamp(1), name
    assert heard.warnings == []  # graphs were recorded


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
