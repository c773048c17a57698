"""`pplr assign`."""

import csv
import json

import pytest

from pplr_cli.app import run


@pytest.fixture
def call(weights, tiny_data, capsys):
    """Call a command and return (exit code, stdout, stderr)."""

    def command(name, *arguments):
        words = (name, "--weights", weights, "--data-dir", tiny_data, *arguments)
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def table(tiny_data, tmp_path):
    """A table with the true identities of the training images of `tiny`."""
    path = tmp_path / "known.csv"
    files = sorted((tiny_data / "tiny" / "images" / "train").iterdir())
    rows = [f"train/{file.name},{int(file.name[:4])}" for file in files]
    path.write_text("\n".join(["path,pseudo_identity", *rows]) + "\n")
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_the_same_data_set_is_completed(call, table, tmp_path):
    code, out, err = call("assign", "tiny", "--known", table, "--output", tmp_path / "all.csv")
    assert code == 0
    assert "largest F-score on the known crops): precision " in err
    assert " of known identities, " in out
    found = rows(tmp_path / "all.csv")
    assert list(found[0]) == ["path", "pseudo_identity", "known", "distance", "camera"]
    known = {row["path"]: row["pseudo_identity"] for row in rows(table)}
    assert {row["path"] for row in found} > set(known)
    for row in found:
        if row["path"] in known:
            assert (row["pseudo_identity"], row["known"]) == (known[row["path"]], "1")
    again = ("assign", "tiny", "--known", tmp_path / "all.csv", "--output", tmp_path / "2.csv")
    code, out, _ = call(*again)  # the result is known itself
    assert code == 0
    assert "0 in 0 new identities" in out
    assert [r["pseudo_identity"] for r in rows(tmp_path / "2.csv")] == [
        r["pseudo_identity"] for r in found
    ]


def test_links_to_known_images_are_known(call, table, tiny_data, tmp_path):
    folders = ("--to", "folders", "--output", tmp_path / "people")
    assert call("assign", "tiny", "--known", table, *folders)[0] == 0
    code, out, _ = call("assign", "tiny", "--known", tmp_path / "people")
    assert code == 0
    assert all(line.split(",")[2] == "1" for line in out.splitlines()[1:])


def test_copies_in_another_folder_get_the_names_of_folders(call, tiny_data, tmp_path, plant):
    people = plant(tmp_path / "people", ["anna/1.jpg", "anna/2.jpg", "bob/1.jpg", "bob/2.jpg"])
    today = tmp_path / "today"
    today.mkdir()
    for name in ("anna", "bob"):
        (today / f"{name}.jpg").write_bytes((people / name / "1.jpg").read_bytes())
    plant(today, ["other.jpg"])
    options = ("--known", people, "--max-distance", "0.0005")
    code, _, err = call("assign", today, *options, "--to", "folders", "--output", tmp_path / "out")
    assert code == 0
    assert "threshold 0.001 (--max-distance)" in err or "threshold 0.000 (--max-distance)" in err
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/*/*"))
    assert found == ["00000/other.jpg", "anna/anna.jpg", "bob/bob.jpg"]


def test_a_threshold_that_is_mostly_wrong_causes_a_warning(call, table, tmp_path):
    words = ("assign", "tiny", "--known", table, "--output", tmp_path / "all.csv")
    assert "probably wrong" not in call(*words, "--max-distance", "0.01")[2]
    assert "probably wrong" in call(*words, "--max-distance", "2", "--overwrite")[2]


def test_the_json_documents(call, table, tmp_path, plant):
    people = plant(tmp_path / "people", ["anna/1.jpg", "bob/1.jpg"])
    for words in (
        ("assign", "tiny", "--known", table),
        ("assign", "tiny", "--known", people, "--max-distance", "0.1"),
        ("assign", people, "--known", table, "--known-images", "tiny"),
        ("cluster", "tiny"),
        ("cluster", "tiny", "--output", tmp_path / "x.csv"),
        ("cluster", "tiny", "--to", "folders", "--output", tmp_path / "x"),
    ):
        document = json.loads(call(*words, "--json")[1])
        assert document["images"] == len(document["labels"])
        assert document["skipped"] == 0


def test_the_pattern_finds_the_tracks_of_known_images_too(call, plant, tmp_path):
    """A folder of known images counts as its prepared data set does."""
    names = [f"{camera}/{track}/{frame}.jpg" for camera in "ab" for track in "12" for frame in "34"]
    crops = plant(tmp_path / "crops", names)
    table, pattern = tmp_path / "known.csv", r"(?P<camera>\w)/(?P<track>\d)/(?P<frame>\d)"
    lines = "".join(f"{name},{name.split('/')[1]}\n" for name in names)
    table.write_text(f"path,pseudo_identity\n{lines}")
    today = plant(tmp_path / "today", ["a/9/1.jpg"])
    options = ["--known", table, "--known-images", crops, "--pattern", pattern, "--json"]
    code, out, err = call("assign", today, *options, "--max-distance", "1")
    assert code == 0, err
    assert json.loads(out)["threshold"]["trials"] == 4  # tracks, not images


def test_a_table_of_other_images(call, table, plant, tmp_path):
    today = plant(tmp_path / "today", ["a.jpg"])
    code, _, err = call("assign", today, "--known", table)
    assert code == 1
    assert "hint: name their folder or data set with --known-images" in err
