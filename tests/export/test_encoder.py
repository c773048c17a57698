"""The exported network computes what the network computes, in every form of the input."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pplr_cli.data.augment import MEAN, STD, normalise
from pplr_cli.export.choice import Input
from pplr_cli.export.encoder import Encoder, example, expected, from_pixels, preprocessing
from pplr_cli.retrieval.model import Model

Pixels = NDArray[np.uint8]


@pytest.mark.parametrize("form", Input)
def test_features_are_those_of_the_model(model: Model, pixels: Pixels, form: Input) -> None:
    images = from_pixels(pixels, form)
    assert images.shape[1:] == example(form, 32, 16, 2).shape[1:]
    assert images.dtype == example(form, 32, 16, 2).dtype
    wanted = model(normalise(torch.from_numpy(pixels))).detach().numpy()
    with torch.no_grad():
        found = Encoder(model.network, form)(images).numpy()
    assert np.abs(found - wanted).max() < 1e-5
    assert np.abs(expected(model.network, images, form) - wanted).max() < 1e-5


def test_the_forms_are_the_documented_ones(pixels: Pixels) -> None:
    mean, std = (np.array(values, np.float64) for values in (MEAN, STD))
    unit = (pixels / 255).transpose(0, 3, 1, 2)
    normal = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert np.abs(from_pixels(pixels, Input.UNIT).numpy() - unit).max() < 1e-6
    assert np.abs(from_pixels(pixels, Input.FLOAT).numpy() - normal).max() < 1e-5
    assert preprocessing(Input.FLOAT, 32, 16)["shape"] == ["N", 3, 32, 16]
    assert preprocessing(Input.UINT8, 32, 16, 4)["shape"] == [4, 32, 16, 3]
    assert "inside" in preprocessing(Input.UNIT, 32, 16)["normalised"]


def test_half_keeps_the_network_and_the_type_of_the_features(model: Model, pixels: Pixels) -> None:
    encoder = Encoder(model.network, Input.FLOAT, half=True)
    assert encoder.base[0].weight.dtype == torch.float16
    assert model.network.base[0].weight.dtype == torch.float32
    with torch.no_grad():
        assert encoder(from_pixels(pixels, Input.FLOAT)).dtype == torch.float32


def test_nothing_of_the_parts_and_classifiers_is_in_it(model: Model) -> None:
    names = Encoder(model.network, Input.UINT8).state_dict()
    assert {name.partition(".")[0] for name in names} == {"base", "bnneck"}
