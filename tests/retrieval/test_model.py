"""A trained network for use: its settings, its weights, and the features that it gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pplr_cli.config import presets
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.folder import open_folder
from pplr_cli.progress import Silent
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime

ORIENTATION = 0x0112
SETTINGS = ["data.height=64", "engine.extract_batch=4"]


def saved(path: Path, preset: Path, about: dict[str, Any] | None = None) -> Path:
    """Write weights drawn from a seed, with their settings unless `about` is given."""
    torch.manual_seed(0)
    settings = presets.resolve(str(preset), "train", SETTINGS).document()
    save_weights(Network("tiny", classes=6), path, about or {"settings": settings, "epoch": 3})
    return path


@pytest.fixture
def model(tmp_path: Path, tiny_preset: Path) -> Model:
    return Model.load(saved(tmp_path / "best.pth", tiny_preset), Runtime(workers=2, cache=False))


@pytest.fixture
def crops(tmp_path: Path) -> list[Path]:
    """Six images of all kinds: plain, turned by EXIF, 16 bits, grey, with alpha, a palette."""
    folder = tmp_path / "crops"
    folder.mkdir()
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (48, 20, 3), np.uint8))
    colour.save(folder / "a.jpg")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    colour.save(folder / "b.jpg", exif=exif)
    Image.fromarray(rng.integers(0, 1 << 16, (48, 20), np.uint16)).save(folder / "c.png")
    for name, mode in (("d.png", "L"), ("e.png", "RGBA"), ("f.png", "P")):
        colour.convert(mode).save(folder / name)
    return sorted(folder.iterdir())


def test_the_weights_and_what_they_record_are_loaded(model: Model, tiny_preset: Path) -> None:
    torch.manual_seed(0)
    expected = Network("tiny", classes=6).state_dict()
    found = model.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert model.about["epoch"] == 3
    assert not model.training
    assert not model.network.training


def test_recorded_settings_are_used_unless_a_preset_is_named(
    tmp_path: Path, tiny_preset: Path
) -> None:
    path, runtime = saved(tmp_path / "best.pth", tiny_preset), Runtime()
    assert Model.load(path, runtime).config.data.height == 64
    assert Model.load(path, runtime, overrides=["data.width=8"]).config.data.width == 8
    assert Model.load(path, runtime, str(tiny_preset)).config.data.height == 32


def test_a_backbone_is_used_as_before_training(
    tmp_path: Path, tiny_preset: Path, crops: list[Path]
) -> None:
    network = Network("tiny", classes=6).eval()
    torch.save(network.base.state_dict(), tmp_path / "start.pth")
    runtime = Runtime(cache=False)
    model = Model.load(tmp_path / "start.pth", runtime, str(tiny_preset))
    images = model.preprocess(crops)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network.base.map(images).mean((2, 3)))
    assert np.abs(model.embed(crops) - expected.numpy()).max() < 1e-5


def test_without_settings_a_preset_is_asked_for(tmp_path: Path, tiny_preset: Path) -> None:
    path = saved(tmp_path / "x.pth", tiny_preset, {"mode": "train"})
    with pytest.raises(UsageError, match="does not record its settings") as caught:
        Model.load(path, Runtime())
    assert f"--preset: {', '.join(presets.names())}" in str(caught.value.hint)


def test_embed_gives_what_search_compares(model: Model, crops: list[Path]) -> None:
    images = open_folder(crops[0].parent, Silent())
    store = ImageStore.open(images, model.config.data, model.runtime)
    expected = extract(model.network, store, model.runtime, batch=4, parts=False)[0]
    found = model.embed(crops)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected.numpy())
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_files_images_and_arrays_give_the_same(model: Model, crops: list[Path]) -> None:
    by_path = model.embed([str(path) for path in crops])
    by_image = model.embed([Image.open(path) for path in crops])
    np.testing.assert_array_equal(by_image, by_path)
    plain = [crops[0], crops[2], crops[3]]  # a PIL image of a palette or alpha is no RGB array
    by_array = model.embed([np.asarray(Image.open(path)) for path in plain])
    np.testing.assert_allclose(by_array, by_path[[0, 2, 3]], atol=1e-6)


def test_one_image_and_a_batch_as_an_array(model: Model, crops: list[Path]) -> None:
    batch = np.stack([np.asarray(Image.open(crops[0]))] * 3)
    expected = np.repeat(model.embed(crops[0]), 3, axis=0)
    np.testing.assert_allclose(model.embed(batch), expected, atol=1e-6)
    assert model.embed(batch[0]).shape == model.embed(Image.open(crops[0])).shape == (1, 128)
    assert model.embed([]).shape == (0, 128)


def test_calling_the_model_on_preprocessed_images(model: Model, crops: list[Path]) -> None:
    images = model.preprocess(crops)
    assert images.shape == (6, 3, 64, 16)
    assert images.dtype == torch.float32
    with torch.no_grad():
        features = model(images)
    np.testing.assert_allclose(features.numpy(), model.embed(crops), atol=1e-6)


def test_images_that_cannot_be_used_are_named(model: Model, crops: list[Path]) -> None:
    crops[1].write_bytes(crops[1].read_bytes()[:200])
    float_image = np.zeros((8, 8, 3), np.float32)
    missing = crops[0].with_name("lost.jpg")
    with pytest.raises(DataError, match="3 of 4 images cannot be used") as caught:
        model.embed([crops[0], crops[1], missing, float_image])
    for text in (str(crops[1]), "lost.jpg: no such file", "image 3: an array of float32"):
        assert text in caught.value.message
