"""Exported models inside the programs that they are for: the real packages, where installed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import WeightsError
from pplr_cli.export import card, formats, targets
from pplr_cli.export.check import check_file
from pplr_cli.export.choice import EXPECTED, Choice, Target
from pplr_cli.export.labelled import find_threshold
from pplr_cli.retrieval.model import Model

Frames = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def crops(tiny_data: Path) -> Frames:
    """Crops in other sizes than the network's."""
    files = sorted((tiny_data / "tiny" / "images" / "gallery").glob("*.jpg"))[:6]
    sizes = [(16, 32), (21, 47), (40, 71), (16, 32), (9, 30), (33, 33)]
    opened = [Image.open(file).resize(size) for file, size in zip(files, sizes, strict=True)]
    return [np.asarray(each.convert("RGB")) for each in opened]


@pytest.fixture
def exported(
    request: pytest.FixtureRequest, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Choice:
    """A model exported for a target whose package is installed."""
    target, batch = request.param
    for module, name in ((Image, "open"), (torch, "load"), (torch, "save")):
        monkeypatch.setattr(module, name, getattr(module, name))  # ultralytics replaces them
    pytest.importorskip(target.value, reason=f"the package {target} is not installed")
    kind, form = EXPECTED[target]
    for name in formats.PACKAGES[kind]:
        pytest.importorskip(name)
    choice = Choice(tmp_path / f"model.{kind}", tmp_path, kind, form, False, batch, target)
    choice.path.write_bytes(formats.build(model, choice))
    return choice


CASES = [(target, None) for target in Target] + [(Target.BOXMOT, 4), (Target.ULTRALYTICS, 4)]


@pytest.mark.parametrize("exported", CASES, indirect=True, ids=str)
def test_features_inside_the_program_are_those_of_torch(
    exported: Choice, model: Model, crops: Frames
) -> None:
    assert check_file(exported.path, exported, model, model.decode(crops)).cosine > 0.9999
    found = targets.check_inside(exported.path, exported, model, crops)
    assert found is not None
    assert found.program.startswith(f"{exported.target} ")
    assert found.cosine > 0.9999
    # reid resizes as pplr does, the others by bilinear interpolation
    assert found.own_cosine > (0.9999 if exported.target is Target.REID else 0.8)
    same_size = [crop for crop in crops if crop.shape == (32, 16, 3)]
    found = targets.check_inside(exported.path, exported, model, same_size)
    assert found is not None
    assert found.own_cosine > 0.9999


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.parametrize("exported", [(Target.REID, None)], indirect=True)
def test_the_lines_of_the_card_wrap_the_model_for_reid(
    exported: Choice, model: Model, crops: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = card.render(model, exported, exported.path, None, prepared=False, licence=None)
    (lines,) = (part.partition("```")[0] for part in text.split("```python\n")[1:])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(lines, names)
    files = [tmp_path / f"{number}.png" for number in range(len(crops))]
    for file, crop in zip(files, crops, strict=True):
        Image.fromarray(crop).save(file)
    found = names["model"].extract_embeddings_from_paths([*map(str, files)])  # type: ignore[attr-defined]
    assert (found * model.embed(files)).sum(1).min() > 0.9999


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.parametrize("exported", [(Target.ULTRALYTICS, None)], indirect=True)
def test_the_threshold_of_the_card_is_the_one_of_the_tracker(
    exported: Choice, model: Model, tiny_data: Path
) -> None:
    from types import SimpleNamespace

    from ultralytics.trackers.utils.matching import embedding_distance

    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    labelled = find_threshold(model, manifest)
    assert labelled is not None
    text = card.render(model, exported, exported.path, labelled, prepared=True, licence=None)
    limit = float(text.partition("appearance_thresh: ")[2].split()[0])
    distance = labelled.threshold.distance
    angle = 2 * np.arcsin(distance / 2)
    track = SimpleNamespace(smooth_feat=np.array([1, 0], np.float32))
    crop = SimpleNamespace(curr_feat=np.array([np.cos(angle), np.sin(angle)], np.float32))
    # the tracker refuses pairs with a larger value than 1 - appearance_thresh
    assert embedding_distance([track], [crop])[0, 0] / 2 == pytest.approx(1 - limit, abs=1e-3)


def test_a_program_that_is_not_installed_is_not_checked(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(targets, "import_module", missing)
    kind, form = EXPECTED[Target.REID]
    choice = Choice(tmp_path / "m", None, kind, form, target=Target.REID)
    assert targets.check_inside(choice.path, choice, model, []) is None


def test_a_program_that_cannot_run_the_file_is_named(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise TypeError("unexpected argument\nmore")

    monkeypatch.setattr(targets, "import_module", lambda name: None)
    monkeypatch.setattr(targets.metadata, "version", lambda name: "9.9")
    monkeypatch.setitem(targets.RUNS, Target.BOXMOT, fails)
    choice = Choice(tmp_path / "m", None, *EXPECTED[Target.BOXMOT], target=Target.BOXMOT)
    with pytest.raises(
        WeightsError, match=r"boxmot 9\.9 cannot run .*: unexpected argument: "
    ) as no:
        targets.check_inside(choice.path, choice, model, [])
    assert "--format onnx" in str(no.value.hint)
