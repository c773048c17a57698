"""Clusters of a run by its last weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from pplr_cli.engine.features import extract
from pplr_cli.errors import UsageError
from pplr_cli.labelling.stage import label
from pplr_cli.retrieval.model import Model
from pplr_cli.runs.relabel import cluster_again
from pplr_cli.runtime import Runtime
from tests.conftest import Done

RUNTIME = Runtime(workers=1, cache=False)


def test_the_last_weights_cluster_the_images(done: Done) -> None:
    found = cluster_again(done.folder, RUNTIME)
    assert found.epoch == 2
    assert found.images.paths == done.images.paths
    assert found.answers is None
    model = Model.load(done.folder / "last.pth", RUNTIME)
    features = extract(model.network, found.store, RUNTIME, batch=32)
    assert found.features.numpy() == pytest.approx(features.numpy(), abs=1e-5)
    used = found.config.clustering, found.config.agreement
    expected = label(found.features, done.images.cameras, *used)
    assert (found.pseudo.labels == expected.labels).all()
    parts = found.parts()
    assert (np.bincount(parts.of) > 0).all()
    assert len(parts.of) == len(done.images)


def test_answers_in_the_run_folder_are_honoured_unless_others_are_named(
    done: Done, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(done.folder, tmp_path / "run"))
    paths, header = done.images.paths, "path_a,path_b,answer\n"
    (folder / "answers-used.csv").write_text(f"{header}{paths[0]},{paths[50]},same\n")
    labels = cluster_again(folder, RUNTIME).pseudo.labels
    assert labels[0] == labels[50] != -1
    other = tmp_path / "other.csv"
    other.write_text(f"{header}{paths[0]},{paths[50]},different\n")
    labels = cluster_again(folder, RUNTIME, answers=other).pseudo.labels
    assert labels[0] != labels[50] or labels[0] == -1


def test_found_tracks_are_the_parts(done: Done, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done.folder, tmp_path / "run"))
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["clustering"]["find_tracks"] = True
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    found = cluster_again(folder, RUNTIME)
    assert found.tracks is not None
    assert found.parts().tracks
    used = found.config.clustering, found.config.agreement
    expected = label(found.features, done.images.cameras, *used)
    assert (found.pseudo.labels == expected.labels).all()


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        cluster_again(tmp_path, RUNTIME)
