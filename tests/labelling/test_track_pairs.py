"""Rounds of joining by pairs against all pairs of groups."""

from itertools import product

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.labelling.constraints import connected
from pplr_cli.labelling.track_pairs import _apart, join_pairs
from pplr_cli.labelling.track_search import Spans
from pplr_cli.labelling.tracks import _Apart, _join
from tests.labelling.test_track_search import draw, never_one

worlds = given(
    count=st.integers(2, 60),
    cameras=st.integers(1, 4),
    timed=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 999),
)


@worlds
def test_groups_of_which_two_tracks_are_apart(
    count: int, cameras: int, timed: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    _, tracks = draw(count, cameras, timed, seed)
    groups = np.unique(rng.integers(0, 1 + count // 2, count), return_inverse=True)[1]
    different = rng.integers(0, count, (count // 6, 2))
    different = different[groups[different[:, 0]] != groups[different[:, 1]]]
    apart = {*map(tuple, different.tolist()), *map(tuple, different[:, ::-1].tolist())}
    pairs = np.array([p for p in product(range(groups.max() + 1), repeat=2) if p[0] < p[1]])
    pairs = pairs.reshape(-1, 2)
    found = _apart(pairs, Spans.of(tracks), groups, different)
    for (one, other), refused in zip(pairs, found, strict=True):
        members = product(np.flatnonzero(groups == one), np.flatnonzero(groups == other))
        assert refused == any(never_one(tracks, a, b) or (a, b) in apart for a, b in members)


@worlds
def test_groups_are_those_of_all_pairs(count: int, cameras: int, timed: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, tracks = draw(count, cameras, timed, seed)
    groups = connected(rng.integers(0, count, (count // 6, 2)), count)
    different = rng.integers(0, count, (count // 6, 2))
    different = different[groups[different[:, 0]] != groups[different[:, 1]]]
    scale = torch.from_numpy(rng.uniform(0, 0.8, count)).float()
    everything = _Apart(tracks, vectors.device)
    everything.add(different)
    expected = _join(vectors, scale[:, None], everything, groups)
    pairs = np.stack(np.triu_indices(count, 1), 1)
    found = join_pairs(vectors, scale, Spans.of(tracks), groups, pairs, different)
    assert found.tolist() == expected.tolist()
