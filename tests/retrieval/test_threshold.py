"""The threshold, against a slow and obvious version: every trial, every threshold."""

import numpy as np
import pytest
import torch

from pplr_cli.errors import UsageError
from pplr_cli.retrieval.threshold import Trials, choose_threshold, rate, run_trials


def make(seed, cameras):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 8, 40)
    vectors = rng.standard_normal((8, 6))[people] + 0.6 * rng.standard_normal((40, 6))
    vectors = torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).float()
    return vectors, people, rng.integers(0, cameras, 40) if cameras else np.full(40, -1)


def slow_trials(vectors, people, cameras):
    """Return for each crop the nearest of its identity (another camera) and of the others."""
    same, other = [], []
    for i in range(len(people)):
        near = {True: np.inf, False: np.inf}
        for j in range(len(people)):
            mate = bool(people[i] == people[j])
            if i == j or (mate and cameras[i] == cameras[j] != -1):
                continue
            near[mate] = min(near[mate], float((vectors[i] - vectors[j]).norm()))
        same.append(near[True])
        other.append(near[False])
    return Trials(np.array(same), np.array(other))


def slow_rate(trials, distance):
    right = wrong = known = 0
    for same, other in zip(*trials, strict=True):
        if same < np.inf:  # as one of a known identity
            known += 1
            if min(same, other) <= distance:
                right += same < other
                wrong += same >= other
        wrong += other <= distance  # as a stranger
    return right, right + wrong, known


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cameras", [0, 1, 3])
def test_trials(seed, cameras):
    data = make(seed, cameras)
    expected = slow_trials(*data)
    for budget in (1 << 20, 40 * 4 * 4 * 7):  # 7 rows at a time
        found = run_trials(*data, budget)
        np.testing.assert_allclose(found.same, expected.same, atol=1e-5)
        np.testing.assert_allclose(found.other, expected.other, atol=1e-5)
    if cameras == 1:
        assert not np.isfinite(found.same).any()


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_a_larger_f_score(seed):
    trials = run_trials(*make(seed, 3), 1 << 20)
    found = choose_threshold(trials)

    def score(distance):
        right, accepted, known = slow_rate(trials, distance)
        return 2 * right / (accepted + known)

    right, accepted, known = slow_rate(trials, found.distance)
    assert found.precision == right / accepted
    assert found.recall == right / known
    assert found.trials == known
    assert score(found.distance) >= max(score(d) for d in np.linspace(0, 2, 4001))


def test_the_threshold_is_midway_to_the_next_trial():
    trials = Trials(np.array([0.2, 0.4, np.inf]), np.array([1.0, 1.1, 1.2]))
    found = choose_threshold(trials)
    assert found == (pytest.approx(0.7), 1.0, 1.0, 2)
    alone = Trials(np.array([0.2, 0.4]), np.array([np.inf, np.inf]))  # one identity
    assert choose_threshold(alone) == (0.4, 1.0, 1.0, 2)


def test_without_pairs_there_is_no_threshold_but_a_given_one_can_be_used():
    trials = Trials(np.array([np.inf, np.inf]), np.array([1.0, 1.0]))
    with pytest.raises(UsageError, match="no threshold can be chosen") as caught:
        choose_threshold(trials)
    assert "--max-distance" in str(caught.value.hint)
    assert rate(trials, 0.5) == (0.5, None, None, 0)
    assert rate(trials, 1.5) == (1.5, 0.0, None, 0)
