"""`pplr evaluate`, on a data set whose scores are known: images of one person are all the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image as Picture
from typer.testing import CliRunner

from pplr_cli.commands.evaluate import evaluate
from pplr_cli.config import presets
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError, PplrError, UsageError, WeightsError
from pplr_cli.retrieval import published

PEOPLE, CAMERAS = 6, 3
PRESET = """
data: {name: small, height: 32, width: 16}
model: {backbone: tiny, weights: random, classes: 20}
"""

app = typer.Typer()
app.command()(evaluate)


def make_data_set(data_dir: Path, gallery_person=lambda person: person, layout="market") -> None:
    """Write a data set: each person once by every camera, the first camera's are the queries.

    `gallery_person` says as whom a person is labelled in the gallery.
    """
    rng = np.random.default_rng(0)
    folder, images = data_dir / "small", []
    for person in range(PEOPLE):
        pixels = rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)
        for camera in range(CAMERAS):
            split = Split.GALLERY if camera else Split.QUERY
            identity = gallery_person(person) if camera else person
            path = folder / f"{person}_{camera}.png"
            folder.mkdir(parents=True, exist_ok=True)
            Picture.fromarray(pixels).save(path)
            images.append(Image(split, path.name, identity, camera))
    Manifest("small", layout, folder, tuple(images), {}).save(folder)


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(PRESET)
    return path


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network("tiny", parts=3, classes=20)


@pytest.fixture
def own_file(tmp_path, preset, network):
    """A file as training leaves it."""
    path = tmp_path / "best.pth"
    settings = presets.resolve(str(preset), "train").document()
    save_weights(network, path, {"mode": "train-cam", "epoch": 2, "settings": settings})
    return path


@pytest.fixture
def official_file(tmp_path, network):
    """A file as the official code leaves it: another class count, `module.` before every name."""
    other = Network("tiny", parts=3, classes=30)
    other.load_state_dict({k: v for k, v in network.state_dict().items() if "cl" not in k}, False)
    path = tmp_path / "official.pth"
    torch.save({f"module.{name}": value for name, value in other.state_dict().items()}, path)
    return path


@pytest.fixture
def run(tmp_path):
    """Call the command and return (stdout, stderr)."""

    def call(*arguments):
        place = ["--data-dir", str(tmp_path / "data"), "--no-cache", "--workers", "1"]
        arguments = [str(a) for a in (*arguments, *place, "--device", "cpu")]
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout, done.stderr

    return call


def test_our_own_file_needs_no_preset(tmp_path, run, own_file, monkeypatch):
    make_data_set(tmp_path / "data")
    monkeypatch.setattr(published, "figures_for", lambda manifest: published.FIGURES["market"])
    out, err = run("--weights", own_file)
    header, ours, plain, camera = (line.split() for line in out.splitlines())
    assert header == ["small", "mAP", "rank-1", "rank-5", "rank-10", "mINP"]
    assert ours == [str(own_file), "100.0", "100.0", "100.0", "100.0", "100.0"]
    assert " ".join(plain) == ("paper, as reported, without camera labels 81.5 92.8 97.1 98.1 -")
    assert " ".join(camera) == "paper, as reported, with camera labels 84.4 94.3 97.8 98.6 -"
    assert "extracted and ranked 18 images" in err


def test_images_compared_with_each_other_are_counted_once(tmp_path, run, own_file):
    make_data_set(tmp_path / "data")
    err = run("--weights", own_file, "--leave-one-out")[1]
    assert "opened 12 images in" in err
    assert "extracted and ranked 12 images" in err


def test_the_paper_is_not_compared_with_a_fragment(tmp_path, run, own_file):
    make_data_set(tmp_path / "data")
    assert published.LABEL not in run("--weights", own_file)[0]
    assert json.loads(run("--weights", own_file, "--json")[0])["paper"] == {}


def test_an_official_file_needs_a_preset(tmp_path, run, official_file, preset):
    make_data_set(tmp_path / "data")
    with pytest.raises(UsageError, match="does not record its settings") as caught:
        run("--weights", official_file)
    assert "--preset" in caught.value.hint
    out, err = run("--weights", official_file, "--preset", preset)
    assert "100.0" in out
    assert "removed the prefix `module.` from every name" in err
    assert "left out classifiers of 30 classes" in err


@pytest.mark.parametrize("rerank", [False, True])
def test_json_is_one_document(tmp_path, run, own_file, rerank):
    """In the gallery every person is labelled as the next: each query has the wrong one first."""
    make_data_set(tmp_path / "data", lambda person: (person + 1) % PEOPLE, layout="folder")
    out, _ = run("--weights", own_file, "--json", *(["--rerank"] if rerank else []))
    document = json.loads(out)
    scores = {key: document.pop(key) for key in ("mAP", "mINP", "rank1", "rank5", "rank10")}
    assert document == {
        "schema": 1,
        "weights": str(own_file),
        "mode": "train-cam",
        "epoch": 2,
        "data": "small",
        "rerank": rerank,
        "queries": PEOPLE,
        "queries_skipped": 0,
        "copies": 0,
        "same_camera": "ignore",
        "leave_one_out": False,
        "as_one": None,
        "distractors": 0,
        "paper": {},
        "gates": [],
        "pictures": None,
        "separation": None,
    }
    assert scores["rank1"] == 0
    assert scores["rank10"] > 0
    assert 0 < scores["mINP"] <= scores["mAP"] < 0.6


def test_reranking_is_named(tmp_path, run, own_file):
    make_data_set(tmp_path / "data")
    out, _ = run("--weights", own_file, "--rerank")
    assert f"{own_file} (re-ranked)" in out


def test_queries_without_a_match_are_counted(tmp_path, run, own_file):
    make_data_set(tmp_path / "data", lambda person: person if person > 1 else 100)
    out, _ = run("--weights", own_file)
    assert "2 of 6 queries skipped" in out


def test_no_query_with_a_match_is_an_error(tmp_path, run, own_file):
    make_data_set(tmp_path / "data", lambda person: person + 100)
    with pytest.raises(DataError, match="none of the 6 query images"):
        run("--weights", own_file)


def test_settings_can_be_overridden(tmp_path, run, own_file):
    make_data_set(tmp_path / "data")
    with pytest.raises(DataError, match="elsewhere"):
        run("--weights", own_file, "--data", "elsewhere")
    with pytest.raises(WeightsError, match="another architecture"):
        run("--weights", own_file, "--set", "model.parts=2")
    with pytest.raises(UsageError, match=r"data\.hight"):
        run("--weights", own_file, "--set", "data.hight=3")


def test_the_file_is_read_before_the_data_set(tmp_path, run):
    with pytest.raises(WeightsError, match="no such weights file"):
        run("--weights", tmp_path / "none.pth")


@pytest.mark.parametrize("rerank", [False, True])
def test_plots_are_drawn_and_change_no_figure(tmp_path, run, own_file, rerank, monkeypatch):
    monkeypatch.setattr("pplr_cli.report.plots.EACH", 1)
    monkeypatch.setattr(published, "figures_for", lambda manifest: published.FIGURES["market"])
    make_data_set(tmp_path / "data", lambda person: person if person > 1 else 100)
    options = ["--weights", own_file, "--json", "--fail-below", "mAP=0.5"]
    options += ["--rerank"] if rerank else []
    plain = json.loads(run(*options)[0])
    drawn = json.loads(run(*options, "--plots", tmp_path / "plots")[0])
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"best.png", "worst.pdf", "random", "cmc.png", "distances.pdf", "queries.csv"} <= names
    assert {**drawn, "pictures": None, "separation": None} == plain
    assert drawn["separation"]["same_pairs"] == 4 * 2  # two queries have no match
    assert drawn["separation"]["different_pairs"] == 4 * 10
    assert drawn["separation"]["distance"] == ("re-ranked" if rerank else "euclidean")


def test_people_read_the_threshold_and_where_the_pictures_are(tmp_path, run, own_file, monkeypatch):
    folders = []
    monkeypatch.setattr(
        "pplr_cli.report.plots.draw_plots", lambda _, folder: folders.append(folder)
    )
    make_data_set(tmp_path / "data")
    out, _ = run("--weights", own_file, "--plots", tmp_path / "plots")
    assert folders == [tmp_path / "plots"]
    assert "100.0 % of the pairs of one identity are nearer, 0.0 % of the others" in out
    assert out.endswith(f"pictures: {tmp_path / 'plots'}\n")


def test_a_figure_that_falls_short_fails_after_the_results(tmp_path, own_file, capsys):
    make_data_set(tmp_path / "data", lambda person: (person + 1) % PEOPLE)
    arguments = ["--weights", own_file, "--data-dir", tmp_path / "data", "--no-cache", "--json"]
    gates = ["--fail-below", "rank1=0", "--fail-below", "mAP=0.9"]
    runner = CliRunner()
    done = runner.invoke(app, [str(word) for word in (*arguments, *gates)])
    assert isinstance(done.exception, PplrError)
    document = json.loads(done.stdout)
    assert [gate["passed"] for gate in document["gates"]] == [True, False]
    assert done.exception.message == (
        f"`mAP` is {document['mAP']:.4f}, {0.9 - document['mAP']:.3g} below the 0.9 of "
        "`--fail-below`"
    )


def test_a_wrong_gate_shows_before_anything_is_read(tmp_path, run):
    with pytest.raises(UsageError, match="unknown figure `rank2`"):
        run("--weights", tmp_path / "none.pth", "--fail-below", "rank2=0.5")


def test_pictures_get_a_folder_only_where_all_else_is_sound(tmp_path, run, own_file):
    plots = tmp_path / "plots"
    with pytest.raises(DataError, match="no such data set"):
        run("--weights", own_file, "--plots", plots)
    assert not plots.exists()
    plots.touch()
    for folder, what in ((plots, "not a folder"), (plots / "more", "plots` is a file")):
        with pytest.raises(UsageError, match=what):
            run("--weights", tmp_path / "none.pth", "--plots", folder)


def test_pictures_of_two_models_do_not_mix(tmp_path, run, own_file, monkeypatch):
    monkeypatch.setattr("pplr_cli.report.plots.EACH", 1)
    make_data_set(tmp_path / "data")
    plots = tmp_path / "plots"
    (plots / "best").mkdir(parents=True)
    stale, foreign = plots / "best" / "1-of_another_model.png", plots / "best" / "mine.png"
    for path in (stale, foreign):
        path.touch()
    options = ["--weights", own_file, "--plots", plots]
    with pytest.raises(UsageError, match="the folder is not empty") as caught:
        run(*options)
    assert "--overwrite" in caught.value.hint
    run(*options, "--overwrite")
    assert not stale.exists()
    assert foreign.exists()
    assert (plots / "cmc.png").exists()


def test_a_data_set_that_changed_is_found_out_where_that_is_wanted(tmp_path, run, own_file):
    make_data_set(tmp_path / "data")
    run("--weights", own_file, "--verify")
    (tmp_path / "data" / "small" / "0_0.png").unlink()
    with pytest.raises(DataError, match="not as they were"):
        run("--weights", own_file, "--verify")
