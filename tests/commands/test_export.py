"""`pplr export` as a user runs it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from pplr_cli.app import run
from pplr_cli.config import presets
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network
from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.export import card, check, formats, labelled, targets
from pplr_cli.export.choice import Format
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.threshold import Threshold


@pytest.fixture(scope="module")
def weights(tmp_path_factory, tiny_preset):
    path = tmp_path_factory.mktemp("weights") / "best.pth"
    torch.manual_seed(0)
    settings = presets.resolve(str(tiny_preset), "train").document()
    about = {"mode": "train", "epoch": 2, "settings": settings}
    save_weights(Network("tiny", classes=6), path, about)
    return path


@pytest.fixture
def export(weights, tmp_path, tiny_data, capsys):
    """Call the command and return (exit code, stdout, stderr)."""

    def call(*arguments, to=tmp_path / "model.onnx", data_dir=tiny_data):
        words = ["export", "--weights", weights, "--to", to, "--data-dir", data_dir, *arguments]
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def quick(monkeypatch, weights):
    """Leave out the exporter, which takes seconds, where its outcome does not matter."""
    for name in formats.PACKAGES[Format.ONNX]:
        pytest.importorskip(name)
    monkeypatch.setattr(formats, "build", lambda *_: b"model")
    monkeypatch.setattr(check, "check_file", lambda *_: check.Checked(1e-6, 0.999999, 1234.5))


def test_the_file_answers_like_the_network(export, tiny_data):
    for name in formats.PACKAGES[Format.ONNX]:
        pytest.importorskip(name)
    import onnxruntime

    code, out, _ = export("--json")
    assert code == 0
    document = json.loads(out)
    assert document["opset"] >= 18
    assert document["checked"]["crops"] == "data set tiny"
    assert document["checked"]["smallest_cosine"] > 0.9999
    assert document["checked"]["images_per_second"] > 0
    assert document["checked"]["largest_difference"] < 1e-4
    session = onnxruntime.InferenceSession(document["file"], providers=["CPUExecutionProvider"])
    # as docs/export.md says, with Pillow and numpy alone
    expects = json.loads(session.get_modelmeta().custom_metadata_map["pplr.preprocessing"])
    crop = next((tiny_data / "tiny" / "images").rglob("*.jpg"))
    with Picture.open(crop) as picture:
        size = (expects["width"], expects["height"])
        resized = picture.convert("RGB").resize(size, Picture.Resampling.BICUBIC)
    (features,) = session.run(None, {"images": np.asarray(resized)[None]})
    assert features.shape == (1, document["feature_size"])
    assert np.linalg.norm(features) == pytest.approx(1, abs=1e-5)


def test_crops_come_from_a_folder_the_data_set_or_are_noise(quick, export, tiny_data, tmp_path):
    crops = tiny_data / "tiny" / "images" / "query"
    cases = (([], tiny_data), (["--crops", crops], tiny_data), ([], tmp_path / "none"))
    sources = []
    for arguments, data_dir in cases:
        code, out, _ = export("--json", "--overwrite", *arguments, data_dir=data_dir)
        assert code == 0
        checked = json.loads(out)["checked"]
        assert 0 < checked["images"] <= 32
        sources.append(checked["crops"])
    assert sources == ["data set tiny", str(crops), "noise"]


def test_broken_crops_are_to_be_replaced(quick, export, tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, err = export("--crops", tmp_path / "crops")
    assert code == 1
    assert "cut.png: " in err
    assert "hint: replace or remove these files\n" in err


def test_people_read_what_the_file_expects(quick, export):
    code, out, _ = export()
    assert code == 0
    assert "`images`: uint8 [N, 32, 16, 3], RGB" in out
    assert "16 x 32 pixels, bicubic (Pillow)" in out
    assert "`features`: float32 [N, 128], each of length 1" in out
    assert "at most 1e-06 from torch's features" in out


def test_a_file_that_differs_does_not_get_its_name(quick, export, tmp_path, monkeypatch):
    def differs(*_):
        raise WeightsError("the features of the onnx file differ from torch's by 0.5")

    monkeypatch.setattr(check, "check_file", differs)
    (tmp_path / "model.onnx").write_text("the last one")
    code, out, err = export("--overwrite")
    assert (code, out) == (1, "")
    assert "onnx file differ" in err
    assert [path.read_text() for path in tmp_path.glob("model*")] == ["the last one"]


def test_a_file_is_not_replaced_unasked(quick, export, tmp_path):
    (tmp_path / "model.onnx").write_text("the last one")
    code, out, err = export()
    assert (code, out) == (2, "")
    assert "the file exists already\nhint: name another one, or replace it with --over" in err
    assert (tmp_path / "model.onnx").read_text() == "the last one"
    assert export("--overwrite")[0] == 0
    assert (tmp_path / "model.onnx").read_text() == "model"


def test_a_folder_has_model_card_and_settings(quick, export, tmp_path, monkeypatch):
    fits = targets.Fits("boxmot 25.0.0", 0.999999, 0.998)
    monkeypatch.setattr(targets, "check_inside", lambda *_: fits)
    folder = tmp_path / "shop"
    code, out, err = export("--for", "boxmot", "--license", "MIT", "--json", to=folder)
    assert code == 0
    assert "--license" not in err
    document = json.loads(out)
    plain = json.loads(export("--json", "--batch", "4", to=tmp_path / "a.onnx")[1])
    assert (plain["target"], plain["checked"]["inside"], plain["threshold"]) == (None, None, None)
    assert document["checked"]["inside"] == fits._asdict()
    assert document["file"] == str(folder / "model.onnx")
    assert document["preprocessing"]["shape"] == ["N", 3, 32, 16]
    assert document["threshold"]["source"] == "query and gallery"
    assert 0 < document["threshold"]["distance"] < 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.yaml", "model.onnx",
    ]  # fmt: skip
    text = (folder / "README.md").read_text()
    assert f"**{document['threshold']['distance']:.3f}**" in text
    code, out, _ = export("--for", "boxmot", "--overwrite", to=folder)
    assert "inside boxmot 25.0.0" in out
    assert "1,234 images per second" in out
    assert "threshold" in out
    monkeypatch.setattr(check, "check_file", lambda *_: check.Checked(1e-6, 0.999999, 0.42))
    assert "0.4 images per second" in export("--for", "boxmot", "--overwrite", to=folder)[1]
    code, _, err = export("--for", "boxmot", to=folder)
    assert code == 2
    assert "the folder is not empty" in err


def test_starting_weights_a_poor_threshold_and_an_unknown_licence_are_warnings(
    quick, export, monkeypatch, tmp_path
):
    poor = labelled.Labelled(Threshold(0.451, 0.088, 0.171, 40), 50, 6, "query and gallery")
    monkeypatch.setattr(labelled, "find_threshold", lambda *_: poor)
    monkeypatch.setattr(card, "is_untrained", lambda _: True)
    to = tmp_path / "shop"
    code, out, err = export("--format", "onnx", "--license", "foo", to=to)
    assert code == 0
    assert "0.451: 8.8 % of the matches are right (precision), 17.1 % are found" in out
    assert "has the starting weights of its run, before training\nhint: export `last.pth`" in err
    assert "warning: the model does not separate identities\n" in err
    assert "warning: `--license foo`: " in err


def test_a_program_that_is_not_installed_is_named(quick, export, monkeypatch):
    monkeypatch.setattr(targets, "check_inside", lambda *_: None)
    code, out, _ = export("--for", "ultralytics")
    assert code == 0
    assert "not checked: it is not installed" in out


def test_another_suffix_is_wrong_usage(export, tmp_path):
    code, _, err = export(to=tmp_path / "model.pt")
    assert code == 2
    assert "must end in .onnx" in err


def test_missing_packages_are_named_before_anything_is_read(export, monkeypatch):
    def missing(_):
        raise PplrError("`import onnx` fails", "`pip install 'pplr[onnx]'` puts it in place")

    monkeypatch.setattr(formats, "require_packages", missing)
    monkeypatch.setattr(Model, "load", lambda *_: pytest.fail("weights were read"))
    code, _, err = export()
    assert code == 1
    assert "pip install 'pplr[onnx]'" in err
