"""`pplr search`, with a network of random weights: copies of an image are found all the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.app import run


@pytest.fixture
def crops(tmp_path):
    """Three people, each by two cameras in two sub-folders; the second camera adds noise."""
    rng = np.random.default_rng(0)
    for person in range(3):
        pixels = rng.integers(0, 256, (32, 16, 3))
        for camera in range(2):
            seen = (pixels + rng.integers(-5, 6, pixels.shape) * camera).clip(0, 255)
            path = tmp_path / "crops" / f"camera{camera}" / f"{person}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Picture.fromarray(seen.astype(np.uint8)).save(path)
    return tmp_path / "crops"


@pytest.fixture
def search(weights, crops, capsys):
    """Call the command and return (exit code, stdout, stderr)."""

    def call(*arguments, gallery=crops):
        options = ["--weights", weights, "--gallery", gallery, "--workers", "2"]
        code = run([str(word) for word in ("search", *options, *arguments)])
        return code, *capsys.readouterr()

    return call


def test_an_image_finds_the_other_one_of_its_person_and_not_itself(search, crops):
    query = crops / "camera0" / "1.png"
    code, out, _ = search("--query", query, "--top", "3")
    header, first, *others = (line.split() for line in out.splitlines())
    assert code == 0
    assert header == ["query", "rank", "distance", "image"]
    assert [first[0], first[1], first[3]] == [str(query), "1", str(crops / "camera1" / "1.png")]
    assert len(others) == 2
    assert not any(row[3] == str(query) for row in others)


def test_a_folder_against_itself(search, crops):
    code, out, _ = search("--query", crops, "--top", "1", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["images"] == len(document["results"]) == 6
    for result in document["results"]:
        query = Path(result["query"])
        other = query.parents[1] / f"camera{1 - int(query.parent.name[-1])}" / query.name
        assert [match["image"] for match in result["matches"]] == [str(other)]
        assert 0 < result["matches"][0]["distance"] < 0.5


def test_a_query_from_elsewhere_finds_its_copy_at_distance_0(search, crops, tmp_path):
    query = tmp_path / "who.png"
    shutil.copy(crops / "camera0" / "2.png", query)
    _, out, _ = search("--query", query, "--top", "50", "--json")
    matches = json.loads(out)["results"][0]["matches"]
    assert [match["rank"] for match in matches] == [1, 2, 3, 4, 5, 6]
    assert matches[0]["image"] == str(crops / "camera0" / "2.png")
    assert matches[0]["distance"] < 1e-3
    distances = [match["distance"] for match in matches]
    assert distances == sorted(distances)


def test_a_query_given_through_a_link_is_still_itself(search, crops, tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(crops / "camera0" / "0.png")
    _, out, _ = search("--query", link, "--top", "50", "--json")
    images = [match["image"] for match in json.loads(out)["results"][0]["matches"]]
    assert str(crops / "camera0" / "0.png") not in images
    assert len(images) == 5


def test_a_gallery_of_nothing_but_the_query_is_told(search, crops):
    query = crops / "camera0" / "0.png"
    code, out, err = search("--query", query, gallery=query)
    assert (code, len(out.splitlines())) == (0, 1)
    assert f"warning: `{query}`: 1 of 1 queries find no other image" in err


def test_broken_images_are_listed_and_left_out_on_request(search, crops):
    (crops / "camera0" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (crops / "notes.txt").write_text("not an image")
    query = crops / "camera0" / "0.png"
    code, out, err = search("--query", query)
    assert (code, out) == (1, "")
    assert "1 of 7 image files cannot be used:\n  camera0/cut.png: " in err
    assert "or leave them out with --skip-bad" in err
    code, out, err = search("--query", query, "--skip-bad", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 6
    assert "left out:\n  camera0/cut.png: " in err
    assert "other files left out: 1" in err


def test_pictures_are_named_by_their_queries(search, crops, tmp_path):
    code, out, _ = search("--query", crops / "camera0", "--plots", tmp_path / "plots")
    assert code == 0
    assert f"pictures: {tmp_path / 'plots'}" in out
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "1-0.png",
        "2-1.png",
        "3-2.png",
    }
    options = ("--as-one", "folder", "--overwrite", "--plots", tmp_path / "plots")
    assert search("--query", crops / "camera0", *options)[0] == 0
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["1-camera0.png"]


def test_the_json_document(search, crops, tmp_path):
    query = crops / "camera0" / "0.png"
    plain = json.loads(search("--query", query, "--json")[1])
    drawn = json.loads(search("--query", query, "--json", "--plots", tmp_path / "plots")[1])
    assert (plain["pictures"], plain["queries"], plain["skipped"]) == (None, 1, 0)
    assert Path(drawn["results"][0]["picture"]).parent == Path(drawn["pictures"])


def test_folders_as_queries_and_a_largest_distance(search, crops):
    code, out, _ = search("--query", crops, "--as-one", "folder", "--json")
    queries = json.loads(out)["results"]
    assert code == 0
    assert [query["query"] for query in queries] == [str(crops / f"camera{n}") for n in (0, 1)]
    for query in queries:  # a folder does not find its own images
        assert {Path(m["image"]).parent for m in query["matches"]} == {
            crops / f"camera{1 - int(query['query'][-1])}"
        }
    query = crops / "camera0" / "1.png"
    first, second, *_ = json.loads(search("--query", query, "--json")[1])["results"][0]["matches"]
    between = (first["distance"] + second["distance"]) / 2
    out = search("--query", query, "--max-distance", between, "--json")[1]
    assert json.loads(out)["results"][0]["matches"] == [first]
    code, out, err = search("--query", query, "--max-distance", "0")
    assert (code, len(out.splitlines())) == (0, 1)
    assert "1 of 1 queries find no other image within 0" in err


def test_tracks_need_tracks(search, crops):
    code, _, err = search("--query", crops, "--as-one", "track")
    assert code == 2
    assert "the images have no tracks" in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--query", "lost.jpg"], "`lost.jpg`: no such file or folder"),
        (["--query", "."], "`.`: holds no images"),
    ],
)
def test_nothing_to_look_for(search, tmp_path, monkeypatch, arguments, error):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, out, err = search(*arguments)
    assert (code, out) == (1, "")
    assert f"error: {error}\n" in err
