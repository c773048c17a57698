"""Answers in a clustering of images, against a slow obvious version."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.constraints import Answers, connected, constrain

IMAGES = 12


def pairs(found: list[tuple[int, int]]) -> np.ndarray:
    return np.array(found, np.int64).reshape(-1, 2)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Answers]:
    """Labels, a similarity without equal values, and answers that follow some identities."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = rng.integers(-1, 3, IMAGES)
    kept = labels != OUTLIER
    labels[kept] = np.unique(labels[kept], return_inverse=True)[1]
    values = rng.random((IMAGES, IMAGES)).astype(np.float32)
    identities = rng.integers(0, 4, IMAGES)
    asked = [pair for pair in combinations(range(IMAGES), 2) if rng.random() < 0.15]
    same = [(a, b) for a, b in asked if identities[a] == identities[b]]
    different = [(a, b) for a, b in asked if identities[a] != identities[b]]
    return labels, values + values.T, Answers(pairs(same), pairs(different))


def slow(labels: np.ndarray, similarity: np.ndarray, answers: Answers) -> set[frozenset[int]]:
    """Return the clusters of two or more images, one obvious step after the other."""
    groups = [{image} for image in range(IMAGES)]
    for a, b in answers.same.tolist():
        one, other = (next(g for g in groups if image in g) for image in (a, b))
        if one is not other:
            groups.remove(other)
            one |= other
    apart = [set(pair) for pair in answers.different.tolist()]
    named = {image for pair in (*answers.same, *answers.different) for image in pair.tolist()}
    groups = [group for group in groups if group & named]
    clusters = [set(np.flatnonzero(labels == c).tolist()) for c in range(labels.max() + 1)]
    found = [set(group) for group in groups]
    links = []
    for cluster in clusters:
        known = sorted(cluster & named)
        for image in cluster - named if known else set():
            best = max(known, key=lambda other: similarity[image, other])
            next(f for f, g in zip(found, groups, strict=True) if best in g).add(image)
        links += [(similarity[a, b], a, b) for a, b in combinations(known, 2)]
    for _, a, b in sorted(links, reverse=True):
        one, other = (next(f for f in found if image in f) for image in (a, b))
        if one is not other and not any(p & one and p & other for p in apart):
            found.remove(other)
            one |= other
    found += [cluster for cluster in clusters if not cluster & named]
    return {frozenset(each) for each in found if len(each) > 1 or not each & named}


@given(cases())
def test_as_the_slow_version(case: tuple[np.ndarray, np.ndarray, Answers]) -> None:
    labels, similarity, answers = case
    found = constrain(labels, csr_array(similarity), answers)
    numbers = range(found.max() + 1)
    assert {frozenset(np.flatnonzero(found == n).tolist()) for n in numbers} == slow(*case)
    for a, b in answers.same:
        assert found[a] == found[b] != OUTLIER
    for a, b in answers.different:
        assert found[a] != found[b] or found[a] == OUTLIER


def test_without_answers_the_labels_stay() -> None:
    labels = np.array([0, 0, -1, 1, 1])
    found = constrain(labels, csr_array((5, 5)), Answers(pairs([]), pairs([])))
    assert found.tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("same", "different", "expected"),
    [
        ([(0, 2)], [], [0, 0, 0, 0]),
        ([], [(0, 1)], [-1, -1, 0, 0]),
        ([(1, 2)], [(0, 1)], [-1, 0, 0, 0]),
    ],
)
def test_join_and_divide(
    same: list[tuple[int, int]], different: list[tuple[int, int]], expected: list[int]
) -> None:
    labels = np.array([0, 0, 1, 1])
    answers = Answers(pairs(same), pairs(different))
    assert constrain(labels, csr_array(np.eye(4)), answers).tolist() == expected


def test_groups_that_pairs_connect() -> None:
    groups = connected(pairs([(0, 3), (3, 4)]), 6)
    assert groups[0] == groups[3] == groups[4]
    assert len({*groups.tolist()}) == 4
