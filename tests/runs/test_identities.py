from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.errors import DataError
from pplr_cli.runs.identities import Identities, follow, read_known

NONE = -1


def slow_match(known: list[int], used: int, labels: list[int]) -> tuple[list[int], list[int], int]:
    """Return identities, last known identities and numbers used, step by step."""
    shared = Counter((i, c) for i, c in zip(known, labels, strict=True) if NONE not in (i, c))
    of_identity, of_cluster = Counter(known), Counter(labels)
    found: dict[int, int] = {}
    for (identity, cluster), count in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])):
        enough = 2 * count > min(of_identity[identity], of_cluster[cluster])
        if enough and cluster not in found and identity not in found.values():
            found[cluster] = identity
    for cluster in sorted({*labels} - {NONE}):
        if cluster not in found:
            found[cluster] = used
            used += 1
    identities = [NONE if c == NONE else found[c] for c in labels]
    after = [k if i == NONE else i for k, i in zip(known, identities, strict=True)]
    return identities, after, used


clusterings = st.integers(1, 12).flatmap(
    lambda count: st.lists(
        st.lists(st.integers(-1, 4), min_size=count, max_size=count), min_size=1, max_size=5
    )
)


@given(clusterings)
def test_identities_are_those_of_the_obvious_way(labels: list[list[int]]) -> None:
    numbered = [np.unique(each, return_inverse=True)[1] - (min(each) == NONE) for each in labels]
    known, used = [NONE] * len(labels[0]), 0
    identities = Identities(np.full(len(known), NONE))
    for clustering in numbered:
        expected, known, used = slow_match(known, used, clustering.tolist())
        assert identities.match(clustering).tolist() == expected
        assert (identities.of.tolist(), identities.used) == (known, used)
    assert follow(numbered).tolist() == expected


def test_numbers_keep_their_meaning_when_clusters_are_renumbered() -> None:
    first = np.repeat(np.arange(6), 5)
    second = (first + 2) % 6
    second[0] = NONE
    expected = first.copy()
    expected[0] = NONE
    assert follow([first, second]).tolist() == expected.tolist()


def test_an_identity_that_was_gone_gets_its_number_back() -> None:
    first, gone = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, -1, -1, -1])
    assert follow([first, gone, first[::-1].copy()[::-1]]).tolist() == first.tolist()


def test_of_two_halves_the_larger_keeps_the_number() -> None:
    halves = np.array([1, 1, 0, 0, 0])
    assert follow([np.zeros(5, np.int64), halves]).tolist() == [1, 1, 0, 0, 0]


def test_numbers_of_another_run_are_continued(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,pseudo_identity,agreement,camera\na.jpg,7,0.5,1\nb.jpg,7,1,\nx.jpg,9,1,")
    known = read_known(table, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    assert known.match(np.array([1, 1, 0, 0])).tolist() == [7, 7, 10, 10]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("path,camera\na.jpg,1\n", "no column `pseudo_identity`"),
        ("path,pseudo_identity\na.jpg,x\n", "not a table of labels"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, why: str) -> None:
    table = tmp_path / "x.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(DataError, match=rf"x\.csv`: {why}") as caught:
        read_known(table, ["a.jpg"])
    assert "pplr labels" in str(caught.value.hint)
