"""The model card says what the run and the weights file record, and nothing else."""

import json
from pathlib import Path

import pytest
import yaml

from pplr_cli.export import card
from pplr_cli.export.choice import Choice, Format, Input
from pplr_cli.export.labelled import Labelled
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.threshold import Threshold
from pplr_cli.runs.rows import TOGETHER

CHOICE = Choice(Path("shop/model.onnx"), Path("shop"), Format.ONNX, Input.UINT8)


def front_matter(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_a_file_of_a_run_has_its_figures(model: Model, tmp_path: Path) -> None:
    weights = tmp_path / "best.pth"
    weights.write_bytes(b"weights")
    figures = dict.fromkeys(TOGETHER["clusters"], 0) | {"clusters": 7, "rank1": 0.5, "images": 1200}
    rows = [figures | {"epoch": epoch, "mAP": 0.1 * epoch} for epoch in (2, 3)]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(model.config.document()))
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    environment = {"packages": {"torch": "2.14.1"}, "data_digest": "0123456789abcdef"}
    (tmp_path / "environment.json").write_text(json.dumps(environment))
    labelled = Labelled(Threshold(0.7, 0.9, 0.8, 40), 50, 6, "query and gallery")
    text = card.render(model, CHOICE, weights, labelled, prepared=True, licence="mit")
    assert front_matter(text)["license"] == "mit"
    for fact in ("`train` |", "3 of 2 |", "1,200 |", "mAP 30.0 %, rank-1 50.0 % |"):
        assert f" | {fact}" in text
    assert "digest `0123456789ab`" in text
    assert "torch 2.14.1" in text
    assert "**0.700**" in text
    assert "then 90.0 % of the matches are right" in text
    assert "80.0 % of the images with another one of their identity" in text
    assert "does not separate" not in text
    assert "`mit`, as stated" in text
    assert f"\n# PPLR model shop: {model.config.data.name}, tiny\n" in text


def test_what_is_unknown_is_not_recorded(model: Model, tmp_path: Path) -> None:
    weights = tmp_path / "official.pth"
    weights.write_bytes(b"weights")
    bare = Model(model.network, model.config, model.runtime, {})
    text = card.render(bare, CHOICE, weights, None, prepared=False, licence=None)
    assert front_matter(text)["license"] == "unknown"
    for name in ("Training", "Images trained on", "Epoch", "Seed", "Trained with"):
        assert f"| {name} | not recorded |" in text
    assert "Not recorded: the data set is not prepared on this machine." in text
    assert "Not stated: choose one" in text
    assert "random weights" in text
    assert "without identity labels" not in text


def test_starting_weights_and_a_poor_threshold_are_named(model: Model, tmp_path: Path) -> None:
    (tmp_path / "best.pth").write_bytes(b"weights")
    start = Model(model.network, model.config, model.runtime, {**model.about, "epoch": 0})
    poor = Labelled(Threshold(0.451, 0.088, 0.171, 40), 50, 6, "query and gallery")
    weights = tmp_path / "best.pth"
    text = card.render(start, CHOICE, weights, poor, prepared=True, licence=None)
    assert "**These are the starting weights, before training.**" in text
    for fact in ("Training | none", "Images trained on | none", "Epoch | 0: before training"):
        assert f"| {fact} |" in text
    assert "without identity labels" not in text
    assert "may apply: random weights." in text
    assert "**The model does not separate identities**" in text


@pytest.mark.parametrize("kind", Format)
def test_the_front_matter_names_format_and_library(
    model: Model, tmp_path: Path, kind: Format
) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    choice = Choice(Path(f"m.{kind}"), Path(), kind, Input.FLOAT)
    text = card.render(model, choice, tmp_path / "w.pth", None, prepared=True, licence=None)
    head = front_matter(text)
    assert head["library_name"] == "pplr"
    assert kind.value in head["tags"]  # type: ignore[operator]
    assert f'"m.{kind}"' in text
    assert "no identities with several images" in text


def test_the_settings_are_those_of_the_model(model: Model, tmp_path: Path) -> None:
    card.write_card(tmp_path, "# card\n", model)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == model.config.document()
    assert (tmp_path / "README.md").read_text() == "# card\n"
