"""`pplr labels` on a run of its own."""

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pplr_cli.app import run
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.runs.identities import follow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, tiny_preset, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data), "--run-dir", str(path)]
    assert run(["train", *options, "--workers", "2", "--set", "evaluation.at_start=false"]) == 0
    return path


@pytest.fixture
def labels(run_dir, tiny_data, capsys):
    """Call the command and return (exit code, stdout, stderr)."""
    capsys.readouterr()

    def call(*arguments, run_dir=run_dir, data_dir=tiny_data):
        words = ["labels", run_dir, "--data-dir", data_dir, *arguments]
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def test_every_training_image_has_a_line(labels, run_dir, tiny_data):
    code, out, err = labels()
    rows = list(csv.DictReader(io.StringIO(out)))
    images = Manifest.load(tiny_data / "tiny" / "manifest.json").split(Split.TRAIN)
    assert code == 0
    assert [row["path"] for row in rows] == list(images.paths)
    assert [row["camera"] for row in rows] == [str(1 + camera) for camera in images.cameras]
    assert all(f"_c{row['camera']}_" in row["path"] for row in rows)
    with np.load(run_dir / "labels" / "epoch-002.npz") as saved:
        means, second = saved["agreement"].mean(1), saved["labels"]
    with np.load(run_dir / "labels" / "epoch-001.npz") as saved:
        identities = follow([saved["labels"], second])
    assert [int(row["pseudo_identity"]) for row in rows] == identities.tolist()
    assert len({*identities.tolist()}) == len({*second.tolist()})
    np.testing.assert_allclose([float(row["agreement"]) for row in rows], means, atol=1e-4)
    assert f"epoch 2: 96 images below `{images.root}`" in err


def test_a_file_and_an_earlier_epoch(labels, tmp_path):
    path = tmp_path / "new" / "labels.csv"
    code, out, _ = labels("--csv", path, "--epoch", "1")
    assert code == 0
    assert out.startswith("epoch 1: 96 images")
    assert out.endswith(f"labels: {path}\n")
    assert path.read_text() == labels("--epoch", "1", "--csv", "-")[1]
    written = path.read_bytes()
    code, out, err = labels("--csv", path)
    assert (code, out) == (2, "")
    assert "the file exists already" in err
    assert path.read_bytes() == written
    assert labels("--csv", path, "--overwrite")[0] == 0
    assert path.read_bytes() != written


@pytest.mark.parametrize("place", [".", "config.yaml/labels.csv"])
def test_a_file_that_cannot_be_written_is_wrong_usage(labels, run_dir, place):
    before = sorted(run_dir.rglob("*"))
    code, out, err = labels("--csv", run_dir / place)
    assert (code, out) == (2, "")
    assert "error: `" in err
    assert sorted(run_dir.rglob("*")) == before


def test_folders_in_the_run_or_elsewhere(labels, tmp_path, run_dir):
    rows = json.loads(labels("--json")[1])["labels"]
    code, out, _ = labels("--to", "folders", "--output", tmp_path / "out", "--copy")
    assert code == 0
    assert out.endswith(f"labels: {tmp_path / 'out'}\n")
    row = next(row for row in rows if row["pseudo_identity"] >= 0)
    name = f"{row['pseudo_identity']:05d}/{row['path'].replace('/', '__')}"
    assert (tmp_path / "out" / name).is_file()
    shutil.copytree(run_dir, tmp_path / "run")
    assert labels("--to", "folders", run_dir=tmp_path / "run")[0] == 0
    assert (tmp_path / "run" / "identities" / name).is_symlink()


def test_numbers_of_another_table_are_continued(labels, tmp_path):
    labels("--csv", tmp_path / "first.csv")
    text = (tmp_path / "first.csv").read_text()
    moved = "".join(
        f"{path},{int(number) + 50 * (number != '-1')},{rest}"
        for path, number, rest in (line.split(",", 2) for line in text.splitlines(True)[1:])
    )
    (tmp_path / "known.csv").write_text("path,pseudo_identity,agreement,camera\n" + moved)
    assert labels("--known", tmp_path / "known.csv", "--epoch", "2")[1].splitlines()[1:] == (
        moved.splitlines()
    )


def test_the_json_document(labels, run_dir, tmp_path, tiny_data):
    plain = json.loads(labels("--json")[1])
    filed = json.loads(labels("--json", "--csv", tmp_path / "x.csv")[1])
    in_folders = json.loads(labels("--json", "--to", "folders", "--output", tmp_path / "f")[1])
    folder = tmp_path / "data" / "tiny"
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(folder / "manifest.json")
    replace(manifest, images=tuple(i._replace(camera=-1) for i in manifest.images)).save(folder)
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "environment.json").write_text("{}")  # of an older pplr
    both = {"run_dir": tmp_path / "run", "data_dir": tmp_path / "data"}
    without_cameras = json.loads(labels("--json", **both)[1])
    places = [(found["csv"], found["folders"]) for found in (plain, filed, in_folders)]
    assert places == [(None, None), (str(tmp_path / "x.csv"), None), (None, str(tmp_path / "f"))]
    assert {row["camera"] for row in without_cameras["labels"]} == {None}
    assert plain["outliers"] == sum(row["pseudo_identity"] == -1 for row in plain["labels"])


def test_a_data_set_that_has_changed_is_refused(labels, run_dir, tmp_path, tiny_data):
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data" / "tiny" / "manifest.json")
    first, *others = manifest.images
    renamed = (first._replace(path=f"{first.path}.jpg"), *others)
    replace(manifest, images=renamed).save(tmp_path / "data" / "tiny")
    code, out, err = labels(data_dir=tmp_path / "data")
    assert (code, out) == (1, "")
    assert "is not that of the run" in err
    replace(manifest, images=manifest.images[1:]).save(tmp_path / "data" / "tiny")
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "environment.json").unlink()
    code, out, err = labels(run_dir=tmp_path / "run", data_dir=tmp_path / "data")
    assert (code, out) == (1, "")
    assert "labels of 96 images, but the data set in" in err
    assert "has 95 training images" in err


def test_the_data_folder_of_the_run_is_found_again(run_dir, capsys):
    assert run(["labels", str(run_dir)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 97


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["--epoch", "7"], 2, "no labels of epoch 7\nhint: there are labels of 1 to 2"),
        (["--csv", "x", "--to", "folders"], 2, "exclude each other"),
        (["--copy"], 2, "`--copy` goes with `--to folders`"),
        (["--epoch", "0"], 2, "invalid value for `--epoch`"),
    ],
)
def test_wrong_usage(labels, arguments, code, error):
    found, out, err = labels(*arguments)
    assert (found, out) == (code, "")
    assert error in err


def test_a_folder_that_is_no_run_is_refused(labels, tmp_path):
    code, _, err = labels(run_dir=tmp_path)
    assert code == 2
    assert "not a run folder (`config.yaml` is missing)" in err


def test_a_data_set_that_is_gone_is_named(labels, tmp_path):
    code, _, err = labels(data_dir=tmp_path)
    assert code == 1
    assert f"`tiny`: no such data set in `{tmp_path}`" in err
