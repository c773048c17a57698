"""`pplr cluster`."""

import csv
import io
import json

import pytest

from pplr_cli.app import run


@pytest.fixture
def cluster(weights, tiny_data, capsys):
    """Call the command and return (exit code, stdout, stderr)."""

    def call(*arguments):
        words = ("cluster", "--weights", weights, "--data-dir", tiny_data, *arguments)
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def test_a_table_like_that_of_labels(cluster, tmp_path):
    code, table, err = cluster("tiny")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert code == 0
    assert list(rows[0]) == ["path", "pseudo_identity", "agreement", "camera"]
    clusters = {row["pseudo_identity"] for row in rows} - {"-1"}
    assert f"{len(rows)} images below" in err
    assert f"{len(clusters)} pseudo-identities" in err
    code, out, _ = cluster("tiny", "--output", tmp_path / "labels.csv")
    assert (code, out.splitlines()[-1]) == (0, f"labels: {tmp_path / 'labels.csv'}")
    assert (tmp_path / "labels.csv").read_text() == table


def test_folders(cluster, tmp_path):
    code, _, _ = cluster("tiny", "--to", "folders", "--output", tmp_path / "out")
    assert code == 0
    document = json.loads(cluster("tiny", "--json")[1])
    folders = {path.name for path in (tmp_path / "out").iterdir()} - {"_unlabeled"}
    assert len(folders) == document["clusters"]
    assert len(list((tmp_path / "out").glob("*/*.jpg"))) == document["images"]


def test_too_few_images(cluster, plant, tmp_path):
    code, out, err = cluster(plant(tmp_path / "few", ["a.jpg", "b.jpg"]))
    assert (code, out) == (1, "")
    assert "lower `clustering.k1`" in err
