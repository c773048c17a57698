"""The recipe of `docs/export.md` gives the features that `Model.embed` gives."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image

from pplr_cli.config import presets
from pplr_cli.data.augment import normalise
from pplr_cli.engine.network import Network
from pplr_cli.export import encoder, formats
from pplr_cli.export.choice import Choice, Format, Input
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime
from tests.docs import pages

RECIPE = pages.blocks("export.md", "python")[0]


@pytest.fixture
def model(tiny_preset: Path) -> Model:
    torch.manual_seed(0)
    config = presets.resolve(str(tiny_preset), "train")
    return Model(Network("tiny", classes=6), config, Runtime(workers=1, cache=False), {})


@pytest.fixture(params=["torch", "onnxruntime"])
def run(
    request: pytest.FixtureRequest, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Run the recipe in a folder and return its variables; torch replaces a missing onnxruntime."""
    height, width = model.config.data.height, model.config.data.width
    monkeypatch.chdir(tmp_path)
    if request.param == "torch":
        text = json.dumps(encoder.preprocessing(Input.UINT8, height, width))
        about = SimpleNamespace(custom_metadata_map={"pplr.preprocessing": text})

        def infer(_: None, given: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
            with torch.no_grad():
                return [model(normalise(torch.from_numpy(given["images"]))).numpy()]

        session = SimpleNamespace(get_modelmeta=lambda: about, run=infer)
        fake = SimpleNamespace(InferenceSession=lambda file: session)
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    else:
        for name in formats.PACKAGES[Format.ONNX]:
            pytest.importorskip(name)
        choice = Choice(Path("model.onnx"), None, Format.ONNX, Input.UINT8)
        choice.path.write_bytes(formats.build(model, choice))

    def recipe() -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(RECIPE, names)
        return names

    return recipe


def test_the_recipe_gives_the_features_of_the_tool(model: Model, run: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (48, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    colour.save("a.jpg", exif=exif)
    Image.fromarray(rng.integers(0, 1 << 16, (48, 20), np.uint16)).save("b.jpg", format="PNG")
    for name, mode in (("c.png", "L"), ("d.png", "RGBA"), ("e.png", "P"), ("f.png", "LA")):
        colour.convert(mode).save(name)

    names = run()

    found, expected = names["features"], model.embed(["a.jpg", "b.jpg"])
    assert np.linalg.norm(found - expected, axis=1).max() < 1e-5
    files = sorted(tmp_path.glob("[a-f].*"))
    assert len(files) == 6
    given = np.stack([names["pixels"](file) for file in files])
    assert np.array_equal(given, model.decode(files))


def test_the_recipe_and_the_metadata_name_the_same_steps() -> None:
    named = ("exif_transpose", "257", 'convert("RGB")', "Resampling.BICUBIC")
    assert all(
        word in RECIPE and word.replace('"', "'") in step
        for word, step in zip(named, encoder.STEPS, strict=True)
    )
