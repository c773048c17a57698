"""`pplr train` and `pplr train-cam` as a user runs them."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.app import run
from pplr_cli.config import presets
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.engine.network import initial_network
from pplr_cli.engine.zoo import BACKBONES
from pplr_cli.errors import WeightsError
from pplr_cli.progress import Silent
from pplr_cli.session import inputs
from tests.conftest import Done


def train(preset: Path, data_dir: Path, run_dir: Path, *more: str, command: str = "train") -> int:
    options = ["--preset", str(preset), "--data-dir", str(data_dir), "--run-dir", str(run_dir)]
    return run([command, *options, "--workers", "2", *more])


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("command", ["train", "train-cam"])
def test_a_run_leaves_what_the_docs_say(
    command: str, tiny_preset: Path, tiny_data: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert train(tiny_preset, tiny_data, tmp_path, command=command) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "config.yaml", "environment.json", "metrics.jsonl", "metrics.csv", "log.txt", "best.pth",
        "last.pth", "labels", "report.html", "state.pt", "state.previous.pt", "status.json",
    }  # fmt: skip
    rows = lines(tmp_path)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert ("loss_camera" in rows[1]) == (command == "train-cam")
    out, err = capsys.readouterr()
    assert out.startswith(f"mAP {100 * rows[0]['mAP']:.1f} -> {100 * rows[2]['mAP']:.1f}")
    assert f"epoch 2/2: {rows[2]['clusters']} clusters" in err
    assert "epoch 2/2:" in (tmp_path / "log.txt").read_text()
    best = max(rows, key=lambda row: row["mAP"])
    about = torch.load(tmp_path / "best.pth", weights_only=True)._metadata["pplr"]
    assert about["epoch"] == best["epoch"]
    assert about["mode"] == command


def test_weights_can_be_evaluated(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_preset, tiny_data, tmp_path, "--json") == 0
    shown = capsys.readouterr()
    assert "epoch 2/2:" in shown.err
    document, rows = json.loads(shown.out), lines(tmp_path)
    assert (document["run"], document["state"]) == (str(tmp_path), "finished")
    assert (document["epoch"], document["epochs"], document["mode"]) == (2, 2, "train")
    assert (document["start_mAP"], document["mAP"]) == (rows[0]["mAP"], rows[-1]["mAP"])
    assert document["best_mAP"] == max(row["mAP"] for row in rows)
    assert document["weights"] == str(tmp_path / "best.pth")
    assert Path(document["report"]).is_file()
    assert document["next"].startswith("pplr evaluate --weights ")
    weights = str(tmp_path / "best.pth")
    assert run(["evaluate", "--weights", weights, "--data-dir", str(tiny_data), "--json"]) == 0
    best = max(row["mAP"] for row in lines(tmp_path))
    assert json.loads(capsys.readouterr().out)["mAP"] == pytest.approx(best, abs=1e-6)


def test_training_goes_on_from_a_model(
    done: Done, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    weights = f"model.weights={done.folder / 'last.pth'}"
    assert train(tiny_preset, tiny_data, tmp_path, "--set", weights) == 0
    start, end = lines(tmp_path)[0], lines(done.folder)[-1]
    assert start["mAP"] == pytest.approx(end["mAP"], abs=0.01)  # only its backbone is taken
    assert start["mAP"] > lines(done.folder)[0]["mAP"] + 0.05
    config = presets.resolve(str(tiny_preset), "train", [weights])
    network = initial_network(config, done.folder / "last.pth", Silent())
    before = torch.load(done.folder / "last.pth", weights_only=True)
    taken = {f"base.{name}": value for name, value in network.base.state_dict().items()}
    assert taken.keys() <= before.keys()
    assert all(torch.equal(value, before[name]) for name, value in taken.items())


def digests(run_dir: Path) -> dict[str, str]:
    """Return what a run computed: weights, labels and losses, without times."""
    found = {}
    for path in sorted([*run_dir.glob("*.pth"), *run_dir.glob("labels/*.npz")]):
        loaded = torch.load(path, weights_only=True) if path.suffix == ".pth" else np.load(path)
        content = b"".join(np.asarray(loaded[name]).tobytes() for name in sorted(loaded))
        found[path.name] = hashlib.sha256(content).hexdigest()
    timeless = [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in lines(run_dir)]
    return found | {"metrics": json.dumps(timeless)}


@pytest.mark.parametrize("command", ["train", "train-cam"])
def test_training_identities_are_never_used(
    command: str, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data" / "tiny" / "manifest.json")
    rng = np.random.default_rng(0)
    shuffled = tuple(
        i._replace(identity=int(rng.integers(10**6))) if i.split == Split.TRAIN else i
        for i in manifest.images
    )
    assert shuffled != manifest.images
    assert train(tiny_preset, tmp_path / "data", tmp_path / "a", command=command) == 0
    replace(manifest, images=shuffled).save(tmp_path / "data" / "tiny")
    assert train(tiny_preset, tmp_path / "data", tmp_path / "b", command=command) == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def bare(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a data folder in which `tiny` has neither identities nor cameras nor a test split."""
    shutil.copytree(tiny_data, tmp_path / "data")
    folder = tmp_path / "data" / "tiny"
    manifest = Manifest.load(folder / "manifest.json")
    images = [i._replace(identity=-1, camera=-1) for i in manifest.images if i.split == Split.TRAIN]
    replace(manifest, images=tuple(images)).save(folder)
    return tmp_path / "data"


def test_a_data_set_without_labels_is_trained_on(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bare(tiny_data, tmp_path)
    assert train(tiny_preset, data, tmp_path / "run") == 0
    out = capsys.readouterr().out
    row = lines(tmp_path / "run")[-1]
    assert "mAP" not in out + json.dumps(row)
    assert out.startswith(f"{row['clusters']} clusters of")
    assert f"{row['outliers']} outliers of 96" in out
    assert "last.pth" in out
    assert not (tmp_path / "run" / "best.pth").exists()


def test_camera_mode_without_cameras_says_so(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bare(tiny_data, tmp_path)
    assert train(tiny_preset, data, tmp_path / "run", command="train-cam") == 1
    err = capsys.readouterr().err
    assert "no training image has a camera label; `pplr train-cam` needs" in err
    assert "hint: train without cameras: `pplr train --preset" in err
    assert not (tmp_path / "run").exists()


def test_the_log_says_why_a_run_failed(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> None:
    assert train(tiny_preset, tiny_data, tmp_path, "--set", "clustering.eps=0.001") == 1
    log = (tmp_path / "log.txt").read_text()
    assert "error: epoch 1: clustering found 0 clusters" in log


def test_missing_start_shows_before_the_data_set_is_read(
    tiny_preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = train(tiny_preset, tmp_path, tmp_path / "run", "--set", "model.weights=lost.pth")
    assert code == 1
    assert "`lost.pth`: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("damaged", [False, True])
def test_a_data_set_that_cannot_be_opened_shows_before_weights_are_fetched(
    tiny_preset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
) -> None:
    monkeypatch.setattr(inputs, "initial_weights", lambda *_, **__: pytest.fail("fetched"))
    if damaged:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "manifest.json").write_text("{}")
    assert train(tiny_preset, tmp_path, tmp_path / "run") == 1
    expected = "manifest.json`: " if damaged else "`tiny`: no such data set"
    assert expected in capsys.readouterr().err


def test_unreachable_weights_show_before_a_data_set_is_drawn(
    tiny_preset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise WeightsError("no network")

    monkeypatch.setattr(inputs, "initial_weights", unreachable)
    assert train(tiny_preset, tmp_path / "data", tmp_path / "run", "--data", "demo") == 1
    assert "no network" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_preset, tiny_data, tmp_path / "runs" / "run", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "2 epochs of 3 batches of 16" in out
    assert "96 train" in out
    assert re.search(r"each training image +seen 0.5 times an epoch\n", out)
    assert re.search(r"a step, measured +0\.\d+ s \([\d,]+ images/s\)\n", out)
    assert re.search(r"the run +about 0:0\d: 2 epochs, 3 evaluations\n", out)
    assert list(tmp_path.iterdir()) == []


def test_dry_run_of_an_interrupted_run_changes_nothing_in_its_folder(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_preset, tiny_data, tmp_path, "--set", "optim.epochs=1") == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    more = ("--dry-run", "--set", "optim.epochs=5")
    assert train(tiny_preset, tiny_data, tmp_path, "--resume", *more) == 0
    assert "4 epochs, 4 evaluations" in capsys.readouterr().out
    assert train(tiny_preset, tiny_data, tmp_path, "--overwrite", *more) == 0
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def _foreign(path: Path) -> None:
    path.write_text("not weights")


def _cut(path: Path) -> None:
    torch.save(BACKBONES["tiny"]().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])


def _of_another_backbone(path: Path) -> None:
    torch.save(BACKBONES["resnet18"]().state_dict(), path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "no such file"),
        (_foreign, "not a weights file"),
        (_cut, "damaged or cut short"),
        (_of_another_backbone, "another architecture"),
    ],
)
def test_dry_run_refuses_weights_as_the_start_does(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], None], words: str,
) -> None:  # fmt: skip
    weights = tmp_path / "start.pth"
    write(weights)
    errors = []
    for more in ((), ("--dry-run",)):
        settings = ("--set", f"model.weights={weights}", *more)
        assert train(tiny_preset, tiny_data, tmp_path / "run", *settings) == 1
        errors.append(capsys.readouterr().err)
        assert not (tmp_path / "run").exists()
    assert words in errors[0]
    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--run-dir", "{done}"), 2, "the folder already contains a run"),
        (("--run-dir", "{data}/tiny"), 2, "the folder contains"),
        (("--run-dir", "{data}/tiny/manifest.json/run"), 1, "Not a directory"),
        (("--device", "cuda"), 1, "torch sees no GPU"),
        (("--device", "tpu"), 2, "unknown device"),
        (("--devices", "3"), 2, "3 processes cannot share the 2 replicas"),
        (("--set", "clustering.k1=97"), 2, "96 training images, `clustering.k1` needs 97"),
        (("--resume-from", "{data}/lost.pt"), 1, "lost.pt"),
    ],
)
def test_dry_run_refuses_options_as_the_start_does(
    done: Done, tiny_preset: Path, tiny_data: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...], code: int, words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    more = tuple(word.format(done=done.folder, data=tiny_data) for word in more)
    given = {"--preset": str(tiny_preset), "--run-dir": str(tmp_path / "run")}
    given |= {"--data-dir": str(tiny_data)} | dict([more])
    words_of = [word for pair in given.items() for word in pair]
    errors = []
    for dry in ([], ["--dry-run"]):
        assert run(["train", *words_of, *dry]) == code
        errors.append(capsys.readouterr().err)
    assert words in errors[0]
    assert errors[0] == errors[1]


def test_dry_run_refuses_images_that_are_gone_or_damaged(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data" / "tiny" / "manifest.json")
    manifest = replace(manifest, root=tmp_path / "data" / "tiny" / "images")
    manifest.save(tmp_path / "data" / "tiny")
    image = manifest.split(Split.GALLERY).files[0]
    for damage in (lambda: image.write_bytes(b"no image"), image.unlink):
        damage()
        assert train(tiny_preset, tmp_path / "data", tmp_path / "run", "--dry-run") == 1
        assert image.name in capsys.readouterr().err
        assert train(tiny_preset, tmp_path / "data", tmp_path / "run") == 1
        assert image.name in capsys.readouterr().err


def test_second_run_is_refused(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "status.json").write_text("")
    assert train(tiny_preset, tiny_data, tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_unknown_preset_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--preset", "markt"]) == 2
    assert "did you mean `market`" in capsys.readouterr().err


def test_a_data_set_that_changed_is_found_out_before_the_run_where_that_is_wanted(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    arguments = (tiny_preset, tmp_path / "data", tmp_path / "run", "--dry-run", "--verify")
    assert train(*arguments) == 0
    gone = next((tmp_path / "data" / "tiny" / "images").rglob("*.jpg"))
    gone.unlink()
    assert train(*arguments) == 1
    assert f"{gone.name}: no such file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
