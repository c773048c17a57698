"""The choice of questions against slow obvious versions."""

from itertools import combinations
from math import exp

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling import questions as module
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.questions import Parts, parts_of_images, parts_of_tracks, questions
from pplr_cli.labelling.tracks import cluster_tracks
from tests.labelling.test_tracks import never_one, slow_align, unit


def slow_change(
    alike: dict[tuple[int, int], float], clusters: list[int], sizes: list[int], *, tracks: bool
) -> dict[tuple[int, int], float]:
    """Return the expected change of each pair of parts, one obvious step after the other."""

    def inside(a: int, b: int) -> bool:
        return clusters[a] == clusters[b] != OUTLIER

    def best(part: int, *, within: bool) -> float | None:
        found = [s for (a, b), s in alike.items() if part in (a, b) and inside(a, b) == within]
        return max(found, default=None)

    parts = range(len(clusters))
    own, beyond = ([best(part, within=w) for part in parts] for w in (True, False))
    both = [(o, b) for o, b in zip(own, beyond, strict=True) if o is not None and b is not None]
    middle, spread = 0.0, 1.0
    if both:
        middle = float(np.median([o for o, _ in both]) + np.median([b for _, b in both])) / 2
        spread = float(np.std([o - b for o, b in both])) / 2 or 1.0
    change = {}
    for (a, b), value in alike.items():
        pairs = sizes[a] * sizes[b]
        within = [sizes[p] * (sizes[p] - 1) // 2 for p in (a, b)]
        if inside(a, b):
            worth = 0.8 * pairs
            against = sum(middle if beyond[p] is None else beyond[p] for p in (a, b)) / 2 - value
            if tracks and clusters.count(clusters[a]) == 2:  # both become outliers
                worth = max(worth - 1.2 * sum(within), 0)
        else:
            alone = 0.0 if tracks else middle
            ends = sorted(alone if own[p] is None else own[p] for p in (a, b))
            against = value - 0.25 * ends[0] - 0.75 * ends[1]
            outliers = [clusters[p] == OUTLIER for p in (a, b)]
            worth = 1.2 * (pairs + sum(np.compress(outliers, within)))
        change[a, b] = worth / (1 + exp(-min(max(against / spread, -40), 40)))
    return change


@given(st.integers(0, 10**6), st.booleans())
def test_the_expected_change(seed: int, tracks: bool) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 7)
    of = np.arange(7).repeat(sizes)
    centres = np.unique(of, return_index=True)[1]
    clusters = rng.integers(-1, 3, 7)
    asked = [pair for pair in combinations(range(7), 2) if rng.random() < 0.7]
    alike = dict(zip(asked, rng.normal(size=len(asked)).tolist(), strict=True))
    pairs = np.array(asked, np.int64).reshape(-1, 2)
    parts = Parts(of, centres, pairs, np.array(list(alike.values())), tracks)
    found, change = questions(parts, clusters[of])
    expected = slow_change(alike, clusters.tolist(), sizes.tolist(), tracks=tracks)
    assert (np.diff(change) <= 0).all()
    named = [(int(of[a]), int(of[b])) for a, b in found]
    assert sorted(named) == sorted(expected)
    assert change == pytest.approx([expected[pair] for pair in named])


def test_doubtful_clusters_are_asked_about_first() -> None:
    """One cluster holds two identities; another identity is in two clusters."""
    identities = np.array([0] * 20 + [1] * 20 + [2] * 20 + [3] * 20)
    labels = np.array([0] * 40 + [1] * 10 + [2] * 10 + [3] * 20)
    rng = np.random.default_rng(0)
    same = identities[:, None] == identities
    values = np.where(same, 0.8, 0.1) + 0.1 * rng.random((80, 80))
    values[:20, 20:40] += 0.02
    values[20:40, :20] += 0.02
    found, _ = questions(
        parts_of_images(csr_array(np.float32(values + values.T) / 2), labels), labels
    )
    kinds = [{int(identities[a]), int(identities[b])} for a, b in found[:3]]
    assert {0, 1} in kinds
    assert {2} in kinds


def test_parts_of_images() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((60, 60)).astype(np.float32)
    values = np.triu(values, 1) + np.triu(values, 1).T + np.eye(60, dtype=np.float32)
    values[values < 0.3] = 0
    labels = np.array([0] * 30 + [1] * 10 + [OUTLIER] * 20)
    parts = parts_of_images(csr_array(values), labels)
    for part in range(len(parts.centres)):
        members = np.flatnonzero(parts.of == part)
        assert 0 < len(members) <= module.PART
        assert len({*labels[members].tolist()}) == 1
        assert len(members) == 1 or labels[members[0]] != OUTLIER
        sums = values[np.ix_(members, members)].sum(1)
        assert values[parts.centres[part], members].sum() == pytest.approx(sums.max())
    for (a, b), value in zip(parts.pairs, parts.alike, strict=True):
        block = values[np.ix_(parts.of == a, parts.of == b)]
        assert value == pytest.approx(block.mean(), abs=1e-6)
    asked = {(int(a), int(b)) for a, b in parts.pairs}
    clusters = labels[parts.centres]
    for a, b in combinations(range(len(clusters)), 2):
        joined = clusters[a] == clusters[b] != OUTLIER
        stored = values[np.ix_(parts.of == a, parts.of == b)].any()
        assert ((a, b) in asked) == bool(joined or stored)


def test_parts_of_tracks() -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((30, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    numbers, cameras = np.arange(30) // 2, np.arange(30) // 2 % 3
    tracks = Tracks.from_arrays(numbers, cameras, np.arange(30.0))
    labels = cluster_tracks(torch.from_numpy(features), tracks, 3)
    parts = parts_of_tracks(torch.from_numpy(features), tracks, labels, 3)
    assert (parts.of == tracks.of).all()
    assert (tracks.of[parts.centres] == np.arange(len(tracks))).all()
    nodes = range(len(tracks))
    vectors = slow_align([unit(features[tracks.of == t].sum(0)) for t in nodes], tracks)
    usual = []
    for a in nodes:
        near = [vectors[a] @ vectors[b] for b in nodes if b != a and not never_one(tracks, a, b)]
        usual.append(np.mean(sorted(near)[-3:]))
    can_be = {pair for pair in combinations(nodes, 2) if not never_one(tracks, *pair)}
    assert {(int(a), int(b)) for a, b in parts.pairs} == can_be
    for (a, b), value in zip(parts.pairs, parts.alike, strict=True):
        expected = 2 * vectors[a] @ vectors[b] - usual[a] - usual[b]
        assert value == pytest.approx(expected, abs=1e-5)


def test_equal_images_and_one_large_cluster() -> None:
    labels = np.zeros(3 * module.PART, np.int64)
    parts = parts_of_images(csr_array(np.ones((len(labels),) * 2, np.float32)), labels)
    assert np.bincount(parts.of).max() <= module.PART
    assert (questions(parts, labels)[1] >= 0).all()
