"""What the review page contains; `test_review_browser.py` uses it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pplr_cli.labelling.constraints import Answers
from pplr_cli.report.review import IN_A_CLUSTER, Review, write_review
from pplr_cli.runs.relabel import Clustered, cluster_again
from pplr_cli.runtime import Runtime
from tests.conftest import Done


@pytest.fixture(scope="module")
def clustered(done: Done) -> Clustered:
    return cluster_again(done.folder, Runtime(workers=1, cache=False))


def write(
    folder: Path, clustered: Clustered, pairs: int = 50, clusters: int = 20
) -> tuple[Review, dict[str, Any]]:
    file = folder / "review.html"
    found = write_review(file, folder / "run", clustered, pairs, clusters)
    text = file.read_text()
    assert found.size == len(text.encode())
    return found, json.loads(text.partition('id="data">')[2].partition("</script>")[0])


def test_the_page_is_bounded(clustered: Clustered, tmp_path: Path) -> None:
    found, data = write(tmp_path, clustered, pairs=9, clusters=2)
    assert (found.pairs, found.clusters) == (len(data["pairs"]), len(data["clusters"])) == (9, 2)
    assert found.of_clusters == clustered.pseudo.clusters
    assert len(data["images"]) <= 2 * 9 + 2 * IN_A_CLUSTER
    assert found.size < 200_000


def test_clusters_and_images_are_those_of_the_run(clustered: Clustered, tmp_path: Path) -> None:
    _, data = write(tmp_path, clustered)
    labels = dict(zip(clustered.images.paths, clustered.pseudo.labels.tolist(), strict=True))
    assert len({image["path"] for image in data["images"]}) == len(data["images"])
    for cluster in data["clusters"]:
        shown = [labels[data["images"][number]["path"]] for number in cluster["images"]]
        assert set(shown) == {cluster["number"]}
        assert cluster["size"] == (clustered.pseudo.labels == cluster["number"]).sum()
    assert len({tuple(sorted(pair)) for pair in data["pairs"]}) == len(data["pairs"])


def test_what_answers_decide_is_not_asked(clustered: Clustered, tmp_path: Path) -> None:
    _, before = write(tmp_path, clustered)
    numbers = {path: number for number, path in enumerate(clustered.images.paths)}
    asked = [[numbers[before["images"][n]["path"]] for n in pair] for pair in before["pairs"]]
    (a, b), (c, d) = asked[:2]
    answers = Answers(np.array([[a, b]]), np.array([[c, d]]))
    _, data = write(tmp_path, clustered._replace(answers=answers))
    again = [[numbers[data["images"][n]["path"]] for n in pair] for pair in data["pairs"]]
    assert not {(a, b), (c, d)} & {tuple(pair) for pair in again}
    assert [known[2:] for known in data["answers"]] == [["same", a, b], ["different", c, d]]


def test_a_page_without_clusters(clustered: Clustered, tmp_path: Path) -> None:
    nothing = np.full(len(clustered.images), -1)
    pseudo = type(clustered.pseudo)(nothing, clustered.pseudo.agreement)
    found, data = write(tmp_path, clustered._replace(pseudo=pseudo))
    assert found.clusters == found.of_clusters == 0
    assert data["pairs"]


def test_paths_cannot_break_out_of_the_page(clustered: Clustered, tmp_path: Path) -> None:
    names = [f"</script><b>{number:03d}&\"'.jpg" for number in range(len(clustered.images))]
    images = type(clustered.images)(
        clustered.images.root, tuple(names), clustered.images.identities, clustered.images.cameras
    )
    _, data = write(tmp_path, clustered._replace(images=images))
    assert {image["path"] for image in data["images"]} <= set(names)
    assert (tmp_path / "review.html").read_text().count("</script>") == 2
