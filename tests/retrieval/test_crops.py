"""Features of the images of a folder or a data set."""

from pathlib import Path

import numpy as np
import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.folder import open_images
from pplr_cli.progress import Silent
from pplr_cli.retrieval.crops import extract_crops
from pplr_cli.terminal.console import Console


@pytest.fixture
def folder(tmp_path, plant):
    plant(tmp_path, [f"{name}.jpg" for name in "abcdefg"])
    (tmp_path / "c.jpg").write_bytes(b"not an image")
    return tmp_path


def test_the_features_are_those_of_embed(tiny_model, tiny_data):
    crops = extract_crops(tiny_model, open_images(Path("tiny"), tiny_data, Silent()), parts=True)
    assert crops.features.shape == (4, len(crops.images), 128)
    np.testing.assert_array_equal(crops.features[0], tiny_model.embed(crops.images.files))


def test_broken_images_are_an_error_or_left_out(tiny_model, folder, capsys):
    images = open_images(folder, folder, Silent())
    with pytest.raises(DataError, match=r"1 of 7 image files cannot be used:\n  c.jpg: ") as caught:
        extract_crops(tiny_model, images)
    assert "--skip-bad" in str(caught.value.hint)
    object.__setattr__(tiny_model._runtime, "reporter", Console())
    crops = extract_crops(tiny_model, images, skip_bad=True)
    assert "cannot be used and are left out:\n  c.jpg: neither" in capsys.readouterr().err
    assert crops.images.paths == ("a.jpg", "b.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg")
    np.testing.assert_allclose(crops.features[0], tiny_model.embed(crops.images.files), atol=1e-6)


def test_only_broken_images_are_an_error(tiny_model, tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="1 of 1 image files cannot be used"):
        extract_crops(tiny_model, open_images(tmp_path, tmp_path, Silent()), skip_bad=True)
