"""Features into a file: complete, continued after an interruption, and for changed images anew."""

import os

import numpy as np
import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.folder import open_images
from pplr_cli.progress import Silent
from pplr_cli.retrieval import embedding
from pplr_cli.retrieval.embedding import embed_images


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(embedding, "SHARD", 8)  # two batches


@pytest.fixture
def folder(tmp_path, plant):
    return plant(tmp_path / "crops", [f"{number:02}.jpg" for number in range(21)])


def embed(model, folder, target, weights="abc", **options):
    return embed_images(model, weights, open_images(folder, folder, Silent()), target, **options)


def vectors(target):
    with np.load(target) as found:
        return found["vector"]


def read_images(monkeypatch):
    """Return a list that gets the name of each image that is decoded, and those to stop at."""
    decode, seen, stops = embedding.decode, [], []

    def spy(file, *, upright):
        if file.name in stops:
            raise KeyboardInterrupt
        seen.append(file.name)
        return decode(file, upright=upright)

    monkeypatch.setattr(embedding, "decode", spy)
    return seen, stops


def test_the_features_are_those_of_embed(tiny_model, folder, tmp_path):
    found = embed(tiny_model, folder, tmp_path / "f.npz")
    assert found.reused == 0
    np.testing.assert_array_equal(
        vectors(tmp_path / "f.npz"), tiny_model.embed(sorted(folder.iterdir()))
    )
    half = embed(tiny_model, folder, tmp_path / "half.npz", half=True)
    assert half.images.paths == found.images.paths
    assert vectors(tmp_path / "half.npz").dtype == np.float16
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_call_continues_with_the_same_result(
    tiny_model, folder, tmp_path, monkeypatch
):
    embed(tiny_model, folder, tmp_path / "whole.npz")
    seen, stops = read_images(monkeypatch)
    stops.append("18.jpg")
    with pytest.raises(KeyboardInterrupt):
        embed(tiny_model, folder, tmp_path / "f.npz")
    kept = len(list((tmp_path / "f.npz.partial").glob("*.npy")))
    assert kept >= 1
    assert not (tmp_path / "f.npz").exists()
    stops.clear()
    seen.clear()
    assert embed(tiny_model, folder, tmp_path / "f.npz").reused == 8 * kept
    assert sorted(seen) == [f"{number:02}.jpg" for number in range(8 * kept, 21)]
    assert (tmp_path / "f.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_changed_images_and_other_weights_are_noticed(tiny_model, folder, tmp_path, monkeypatch):
    def interrupted():
        stops.append("20.jpg")
        with pytest.raises(KeyboardInterrupt):
            embed(tiny_model, folder, tmp_path / "f.npz")
        stops.clear()

    _, stops = read_images(monkeypatch)
    interrupted()
    os.utime(folder / "03.jpg")
    assert embed(tiny_model, folder, tmp_path / "f.npz").reused <= 8
    (folder / "00.jpg").write_bytes((folder / "01.jpg").read_bytes())
    interrupted()
    assert embed(tiny_model, folder, tmp_path / "g.npz", weights="other").reused == 0
    found = embed(tiny_model, folder, tmp_path / "f.npz", overwrite=True)
    assert found.reused in (8, 16)
    np.testing.assert_array_equal(
        vectors(tmp_path / "f.npz"), tiny_model.embed(sorted(folder.iterdir()))
    )


def test_broken_images_are_left_out_later_without_new_work(
    tiny_model, folder, tmp_path, monkeypatch
):
    for name in ("02.jpg", "20.jpg"):
        (folder / name).write_bytes(b"no image")
    for _ in range(2):  # the second call finds the reasons again
        with pytest.raises(DataError, match="2 of 21 image files cannot be used") as caught:
            embed(tiny_model, folder, tmp_path / "f.npz")
        assert "  20.jpg: neither a JPEG nor a PNG image" in caught.value.message
    seen, _ = read_images(monkeypatch)
    found = embed(tiny_model, folder, tmp_path / "f.npz", skip_bad=True)
    assert found.reused == 21
    assert set(seen) == {"02.jpg", "20.jpg"}
    assert len(found.images) == len(vectors(tmp_path / "f.npz")) == 19
    files = [folder / path for path in found.images.paths]
    np.testing.assert_allclose(vectors(tmp_path / "f.npz"), tiny_model.embed(files), atol=1e-6)


def test_features_that_are_not_finite_are_an_error(tiny_model, folder, tmp_path):
    next(tiny_model.network.base.parameters()).data.fill_(np.nan)
    with pytest.raises(DataError, match="features are not finite"):
        embed(tiny_model, folder, tmp_path / "f.npz")


def test_a_failure_to_write_stops_the_work(tiny_model, folder, tmp_path, monkeypatch):
    def full(file, batches):
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(embedding, "_save", full)
    with pytest.raises(OSError, match="No space left"):
        embed(tiny_model, folder, tmp_path / "f.npz")
    assert not (tmp_path / "f.npz").exists()
