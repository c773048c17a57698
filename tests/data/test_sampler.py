"""Batches against the rules, restated one by one."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.data.sampler import draw_instances, epoch_batches


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    cameras=st.integers(1, 4),
    clusters_in_batch=st.integers(1, 5),
    instances=st.integers(2, 6),
    iters=st.integers(1, 7),
    seed=st.integers(0, 99),
)
@settings(max_examples=80)
def test_batches_follow_the_rules(
    sizes: list[int],
    cameras: int,
    clusters_in_batch: int,
    instances: int,
    iters: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate(([-1] * 5, np.repeat(np.arange(len(sizes)), sizes))))
    seen_by = rng.integers(0, cameras, len(labels))
    size = clusters_in_batch * instances
    batches = epoch_batches(
        labels, seen_by, size=size, instances=instances, iters=iters, seed=seed, epoch=3
    )
    assert batches.shape == (iters, size)
    groups = batches.reshape(iters, clusters_in_batch, instances)
    for group in groups.reshape(-1, instances):
        check_group(group, labels, seen_by, instances)
    check_permutations(labels[groups[:, :, 0]], len(sizes), clusters_in_batch)


def check_group(group: np.ndarray, labels: np.ndarray, cameras: np.ndarray, instances: int) -> None:
    anchor, others = group[0], group[1:]
    assert labels[anchor] >= 0
    assert (labels[others] == labels[anchor]).all()
    members = np.flatnonzero(labels == labels[anchor])
    elsewhere = members[cameras[members] != cameras[anchor]]
    pool = elsewhere if len(elsewhere) else members[members != anchor]
    if len(members) == 1:
        pool = members
    assert set(others) <= set(pool)
    if len(pool) >= instances:  # without replacement; with one image fewer it is with
        assert len(set(others)) == instances - 1


def check_permutations(drawn: np.ndarray, clusters: int, in_batch: int) -> None:
    """Within a permutation no cluster comes twice; a short one is repeated in one batch."""
    if clusters < in_batch:
        for batch in drawn:
            counts = Counter(batch.tolist())
            assert max(counts.values()) - min(counts.values()) <= 1
            assert len(counts) == clusters
        return
    per_pass = clusters // in_batch
    for start in range(0, len(drawn), per_pass):
        used = drawn[start : start + per_pass].ravel()
        assert len(set(used)) == len(used)


def test_the_epoch_alone_decides() -> None:
    labels, cameras = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)

    def draw(seed: int, epoch: int) -> list[list[int]]:
        return epoch_batches(
            labels, cameras, size=8, instances=4, iters=5, seed=seed, epoch=epoch
        ).tolist()

    assert draw(1, 2) == draw(1, 2)
    assert draw(1, 2) != draw(1, 3)
    assert draw(1, 2) != draw(2, 2)


def test_every_other_image_is_equally_likely() -> None:
    members, cameras = np.arange(7), np.array([0, 0, 1, 1, 1, 2, 2])
    rng = np.random.default_rng(0)
    draws = [draw_instances(members, cameras, 4, rng) for _ in range(4000)]
    anchors = Counter(int(draw[0]) for draw in draws)
    assert max(anchors.values()) < 1.2 * min(anchors.values())
    others = Counter(int(i) for draw in draws if draw[0] == 0 for i in draw[1:])
    assert set(others) == {2, 3, 4, 5, 6}
    assert max(others.values()) < 1.3 * min(others.values())


def test_exactly_enough_others_are_drawn_with_replacement() -> None:
    """The official rule asks for n others, though n - 1 are drawn."""
    members, cameras = np.arange(4), np.array([0, 1, 1, 1])
    rng = np.random.default_rng(0)
    draws = [draw_instances(members, cameras, 4, rng) for _ in range(200)]
    assert any(len(set(draw[1:])) < 3 for draw in draws if draw[0] == 0)


def test_clusters_come_in_another_order_each_time() -> None:
    labels, cameras = np.repeat(np.arange(8), 4), np.tile(np.arange(4), 8)
    batches = epoch_batches(labels, cameras, size=32, instances=4, iters=20, seed=0, epoch=0)
    orders = {tuple(labels[batch[::4]]) for batch in batches}
    assert len(orders) == 20


def test_tracks_count_as_cameras_where_there_is_one_camera() -> None:
    members, cameras = np.arange(6), np.zeros(6, np.int64)
    tracks = np.array([0, 0, 0, 1, 1, 2])
    for seed in range(50):
        rng = np.random.default_rng(seed)
        anchor, *others = draw_instances(members, cameras, 3, rng, tracks).tolist()
        assert all(tracks[other] != tracks[anchor] for other in others)


def test_tracks_change_nothing_where_there_are_other_cameras() -> None:
    members, cameras, tracks = np.arange(6), np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    for seed in range(20):
        drawn, plain = (
            draw_instances(members, cameras, 4, np.random.default_rng(seed), given)
            for given in (tracks, None)
        )
        np.testing.assert_array_equal(drawn, plain)
