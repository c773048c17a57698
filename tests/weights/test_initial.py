"""Where the starting weights come from."""

from pathlib import Path

import pytest

from pplr_cli.config.fields import Model
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.weights import initial
from pplr_cli.weights.initial import initial_weights, to_download
from tests.shared_reporter import Recorder


def test_random_needs_no_file() -> None:
    assert initial_weights(Model(weights="random"), Silent()) is None


def test_synthetic_weights_are_shipped() -> None:
    path = initial_weights(Model(backbone="tiny", weights="synthetic"), Silent())
    assert path is not None
    assert 0 < path.stat().st_size <= 1_500_000


def test_imagenet_weights_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial, "obtain", lambda entry, reporter: Path(f"{entry.name}.pth"))
    assert initial_weights(Model(backbone="resnet34"), Silent()) == Path("resnet34.pth")


def test_missing_weights_are_named_and_need_not_be_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(initial, "obtain", lambda entry, reporter: Path(f"{entry.name}.pth"))
    model = Model(backbone="resnet34")
    entry = to_download(model)
    assert entry is not None
    assert (entry.name, entry.size // 10**6) == ("resnet34", 87)
    assert initial_weights(model, Silent(), fetch=False) is None
    entry.target.parent.mkdir(parents=True)
    entry.target.touch()
    assert to_download(model) is None
    assert initial_weights(model, Silent(), fetch=False) == Path("resnet34.pth")


def test_weights_that_are_not_downloaded() -> None:
    for model in (Model(weights="random"), Model(backbone="tiny", weights="synthetic")):
        assert to_download(model) is None
    by_browser = Model(weights="lup")
    assert to_download(by_browser) is None
    with pytest.raises(WeightsError, match="for a browser"):
        initial_weights(by_browser, Silent(), fetch=False)


def test_a_start_names_its_effect_and_the_risk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(initial, "obtain", lambda entry, reporter: Path(f"{entry.name}.pth"))
    (tmp_path / "own.pth").touch()
    told = {}
    for start in ("imagenet", "lup", str(tmp_path / "own.pth"), "random"):
        notes = Recorder()
        initial_weights(Model(weights=start), notes)
        told[start] = notes.lines
    assert told["imagenet"] == told["random"] == []
    (warning,) = told["lup"]
    assert warning.startswith("`model.weights` = `lup`: 57.5 mAP on Market-1501 (ImageNet 81.5)")
    assert "`pplr evaluate --weights FILE`" in warning
    (note,) = told[str(tmp_path / "own.pth")]
    assert "at 57.5 from LUPerson" in note


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lup.pth"
    with pytest.raises(WeightsError, match=r"lup\.pth`: no such file"):
        initial_weights(Model(weights=str(path)), Silent())
    path.touch()
    assert initial_weights(Model(weights=str(path)), Silent()) == path


def test_a_run_folder_names_its_weights(tmp_path: Path) -> None:
    (tmp_path / "best.pth").touch()
    model = Model(weights=str(tmp_path))
    with pytest.raises(WeightsError, match="a folder, not a weights file") as caught:
        initial_weights(model, Silent())
    assert caught.value.hint == f"did you mean `{tmp_path / 'best.pth'}`?"
