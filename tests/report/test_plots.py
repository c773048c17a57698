"""Which queries are drawn, and under which names."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import ImageSet
from pplr_cli.report import plots
from pplr_cli.report.plots import Evaluation, choose, draw_plots, file_name
from pplr_cli.retrieval.nearest import NONE, Ranked
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.retrieval.separation import BINS, Separation
from pplr_cli.retrieval.survey import Survey


def images(root: Path, folder: str, count: int) -> ImageSet:
    numbers = np.arange(count, dtype=np.int64)
    return ImageSet(root, tuple(f"{folder}/{n:03d}.png" for n in range(count)), numbers, numbers)


def evaluation(root: Path, precision: list[float]) -> Evaluation:
    """One query for each value; each found the gallery images 0 and 1, and no more."""
    count = len(precision)
    ranked = Ranked(
        np.tile([0, 1, NONE], (count, 1)), np.tile(np.float32([0.25, 1, np.inf]), (count, 1))
    )
    values = np.array(precision)
    place = np.where(np.isnan(values), np.nan, 3.0)
    bins = np.ones(BINS, np.int64)
    scores = Scores(0.5, np.linspace(0, 1, 50), 0.1, count, 0)
    first = Ranked(np.ones((count, 1), np.int64), np.full((count, 1), 4, np.float32))
    survey = Survey(scores, values, place, first, ranked, Separation(bins, bins, 2.0))
    return Evaluation("small", images(root, "q", count), images(root, "g", 2), survey, False)


def test_best_and_worst_by_average_precision_and_none_without_a_match(tmp_path: Path) -> None:
    precision = [*np.linspace(0.1, 0.9, 17).tolist(), np.nan, np.nan]
    chosen = choose(evaluation(tmp_path, precision))
    assert chosen["best"] == [16, 15, 14, 13, 12, 11]
    assert chosen["worst"] == [0, 1, 2, 3, 4, 5]
    assert len(set(chosen["random"])) == 6
    assert not {17, 18} & set(chosen["random"])


def test_random_queries_depend_on_names_alone(tmp_path: Path) -> None:
    one = evaluation(tmp_path, np.linspace(0.1, 0.9, 40).tolist())
    other = evaluation(tmp_path, np.linspace(0.9, 0.2, 40).tolist())
    assert choose(one)["random"] == choose(other)["random"]
    renamed = replace(one, query=replace(one.query, paths=tuple(f"x/{n}" for n in range(40))))
    assert choose(renamed)["random"] != choose(one)["random"]


def test_equally_good_queries_are_not_neighbours(tmp_path: Path) -> None:
    found = evaluation(tmp_path, [1.0] * 40)
    assert choose(found)["best"] == choose(found)["random"]


def test_everything_is_drawn_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "EACH", 1)
    found = evaluation(tmp_path, [0.5, 0.125, np.nan])
    for path in (*found.query.files, *found.gallery.files):
        path.parent.mkdir(exist_ok=True)
        Picture.new("RGB", (4, 8), "navy").save(path)
    draw_plots(found, tmp_path / "plots")
    names = {
        p.relative_to(tmp_path / "plots").as_posix() for p in (tmp_path / "plots").rglob("*.*")
    }
    lot = found.query.paths[choose(found)["random"][0]]
    assert names == {
        "best.png", "best.pdf", "worst.png", "worst.pdf", "random.png", "random.pdf", "cmc.png",
        "cmc.pdf", "distances.png", "distances.pdf", "queries.csv", "best/1-q_000.png",
        "worst/1-q_001.png", f"random/1-{file_name(lot)}.png",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "plots" / "queries.csv").read_text().splitlines()))
    assert [tuple(row.values()) for row in rows] == [
        ("q/000.png", "0", "0", "0.500000", "4"),
        ("q/001.png", "1", "1", "0.125000", "4"),
        ("q/002.png", "2", "2", "", ""),
    ]


def test_matches_are_right_or_wrong_and_distances_are_roots(tmp_path: Path) -> None:
    found = evaluation(tmp_path, [0.5, 0.5])
    first = plots._result(found, 0)
    assert [(m.file.name, m.distance, m.right) for m in first.matches] == [
        ("000.png", 0.5, True),
        ("001.png", 1.0, False),
    ]
    reranked = plots._result(replace(found, rerank=True), 0)
    assert reranked.matches[0].distance == 0.25


def test_cameras_and_the_first_match_are_told(tmp_path: Path) -> None:
    found = plots._result(evaluation(tmp_path, [0.5, 0.5]), 1)
    assert (found.camera, [m.camera for m in found.matches]) == (
        "camera 1",
        ["camera 0", "camera 1"],
    )
    assert found.heading.endswith("average precision 0.500, first match at rank 4")
    assert found.first == (4, plots.Match(tmp_path / "g" / "001.png", 2.0, True, "camera 1"))
    near = evaluation(tmp_path, [0.5])
    near = replace(near, survey=replace(near.survey, place=np.array([1.0])))
    assert plots._result(near, 0).first is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("query/0151_c1_001.jpg", "query_0151_c1_001"),
        ("a b/\udcff é$.png", "a_b_"),
        ("../..hidden", ".._."),
        ("x" * 300 + ".jpg", "x" * 100),
    ],
)
def test_file_names_are_plain(path: str, expected: str) -> None:
    assert file_name(path) == expected
