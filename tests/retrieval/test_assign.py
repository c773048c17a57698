"""Identities of new crops, against a slow and obvious version."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.data.images import ImageSet
from pplr_cli.data.tracks import Tracks
from pplr_cli.ingest.folder import open_images
from pplr_cli.ingest.known import Known
from pplr_cli.progress import Silent
from pplr_cli.retrieval.assign import assign_images, assign_units, make_units
from pplr_cli.retrieval.crops import Crops


def unit_vectors(rng, people, noise=0.4):
    vectors = rng.standard_normal((people.max() + 1, 6))[people]
    vectors = vectors + noise * rng.standard_normal(vectors.shape)
    return torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).float()


def some_crops(vectors, cameras, tracks=None, times=None):
    count = len(vectors)
    paths = tuple(f"{n}.jpg" for n in range(count))
    images = ImageSet(Path(), paths, np.full(count, -1), cameras, tracks=tracks, times=times)
    return Crops(images, vectors[None])


def slow_assign(vectors, known, owners, people, threshold, apart):
    """Pairs one by one, nearest first; then the two groups with the smallest mean distance."""
    distances = torch.cdist(vectors, known).numpy()
    pairs = sorted((distances[i, j], i, int(owners[j])) for i, j in np.ndindex(*distances.shape))
    found: dict[int, int] = {}
    for distance, unit, person in pairs:
        clash = any(found.get(other) == person and apart(unit, other) for other in found)
        if distance <= threshold and unit not in found and not clash:
            found[unit] = person
    groups = [[unit] for unit in range(len(vectors)) if unit not in found]
    squared = torch.cdist(vectors, vectors).double().square().numpy()
    while True:
        best = (threshold**2, None)
        for a, one in enumerate(groups):
            for b, two in enumerate(groups[:a]):
                mean = squared[np.ix_(one, two)].mean()
                if mean < best[0] and not any(apart(i, j) for i in one for j in two):
                    best = (mean, (a, b))
        if best[1] is None:
            break
        a, b = best[1]
        groups[b] += groups.pop(a)
    return found, {frozenset(group) for group in groups}, distances.min(1)


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.1])
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_units(seed, tracked, threshold):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 8, 60)
    vectors = unit_vectors(rng, people)
    known, owners = vectors[people < 5][:20], people[people < 5][:20]
    new = vectors[20:]
    cameras = rng.integers(0, 2, len(new))
    if tracked:
        times = rng.integers(0, 30, len(new)).astype(float)
        crops = some_crops(new, cameras, np.arange(len(new)) // 2 * 2, times)
    else:
        crops = some_crops(new, cameras)
    units = make_units(crops)
    tracks = units.tracks

    def apart(i, j):
        if tracks.cameras[i] == -1 or tracks.cameras[i] != tracks.cameras[j]:
            return False
        return bool(tracks.first[i] <= tracks.last[j] and tracks.first[j] <= tracks.last[i])

    found, groups, nearest = slow_assign(units.vectors, known, owners, 5, threshold, apart)
    for budget in (1 << 20, 25 * 4 * 4 * 3):
        numbers, distances = assign_units(units, known, owners, 5, threshold, budget)
        by_unit = {int(u): int(n) for u, n in zip(tracks.of, numbers, strict=True)}
        assert all(by_unit[u] == n for u, n in zip(tracks.of, numbers, strict=True))
        assert {u: n for u, n in by_unit.items() if n < 5} == found
        fresh = {n for n in by_unit.values() if n >= 5}
        assert {frozenset(u for u, n in by_unit.items() if n == each) for each in fresh} == groups
        assert sorted(fresh) == list(range(5, 5 + len(fresh)))
        np.testing.assert_allclose(distances, nearest[tracks.of], atol=1e-3)  # near 0


def test_units_are_tracks_and_images_without_track():
    vectors = unit_vectors(np.random.default_rng(0), np.arange(6), 0)
    tracks, times = np.array([7, -1, 7, -1, 7, 7]), np.array([1.0, 2, 3, 2, 1, 5])
    cameras = np.array([0, 0, 0, 0, 1, 1])
    units = make_units(some_crops(vectors, cameras, tracks, times))
    assert len(units.tracks) == 4
    groups = [np.flatnonzero(units.tracks.of == unit).tolist() for unit in range(4)]
    assert sorted(groups) == [[0, 2], [1], [3], [4, 5]]
    for group, vector in zip(groups, units.vectors, strict=True):
        mean = vectors[group].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm())
    assert [units.tracks.cameras[groups.index(group)] for group in ([1], [3])] == [-1, -1]
    split = make_units(some_crops(vectors, cameras, tracks, times), np.array([0, 0, 1, 0, 0, 0]))
    assert len(split.tracks) == 5  # a track with two identities is two


@pytest.fixture
def images(tiny_data):
    return open_images(Path("tiny"), tiny_data, Silent())


def test_images_keep_names_and_new_ones_get_free_numbers(tiny_model, images):
    rows = np.arange(len(images))
    known = images.take(rows[::2])
    names = tuple(f"{identity}" for identity in known.identities)
    found = assign_images(tiny_model, Known(known, names), images, max_distance=0.2)
    assert found.images.paths == images.paths
    assert [found.names[row] for row in rows[::2]] == list(names)
    assert found.known[::2].all()
    assert (found.distances[::2] == 0).all()
    new = {int(name) for name, old in zip(found.names, found.known, strict=True) if not old}
    biggest = int(known.identities.max())
    assert new == set(range(biggest + 1, biggest + 1 + len(new)))
    assert found.threshold.distance == 0.2
    near = found.known[1::2] == (found.distances[1::2] <= 0.2)
    assert near.all()


def test_the_threshold_is_chosen_and_everything_known_is_fine(tiny_model, images):
    names = tuple(f"person {identity}" for identity in images.identities)
    found = assign_images(tiny_model, Known(images, names), images)
    assert found.names == names
    assert found.threshold.trials == len(images)
    assert 0 < found.threshold.distance < 2


def test_broken_images_can_be_left_out(tiny_model, plant, tmp_path):
    plant(tmp_path, [f"{n}.jpg" for n in range(6)])
    (tmp_path / "2.jpg").write_bytes(b"")
    (tmp_path / "5.jpg").write_bytes(b"")
    images = open_images(tmp_path, tmp_path, Silent())
    known = Known(images.take(np.arange(3)), ("a", "a", "b"))
    found = assign_images(tiny_model, known, images, max_distance=0.01, skip_bad=True)
    assert found.images.paths == ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert found.names == ("a", "a", "b", "0", "1")


def test_times_of_one_camera_keep_tracks_apart(tiny_model, images):
    """Two tracks that are copies of a known one, at the same time: only one of them can be it."""
    rows = np.array([0, 1, 0, 1])
    twice = replace(
        images.take(rows),
        cameras=np.zeros(4, np.int64),
        tracks=np.array([0, 0, 1, 1]),
        times=np.array([1.0, 2, 2, 3]),
    )
    crops = Crops(twice, torch.from_numpy(tiny_model.embed(twice.files))[None])
    units = make_units(crops)
    numbers, _ = assign_units(units, units.vectors[:1], np.zeros(1, np.int64), 1, 0.5, 1 << 20)
    assert numbers.tolist() == [0, 0, 1, 1]
    assert len(Tracks.from_images(twice)) == 2
