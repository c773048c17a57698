from itertools import combinations, product

import numpy as np
import pytest
import torch

from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling import cpu_search, track_search
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.tracks import ALIGNMENTS, cluster_tracks

Vectors = list[np.ndarray]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def never_one(tracks: Tracks, a: int, b: int) -> bool:
    if tracks.cameras[a] != tracks.cameras[b] or tracks.cameras[a] == UNKNOWN:
        return False
    if tracks.timed[a] and tracks.timed[b]:
        return bool(tracks.first[a] <= tracks.last[b] and tracks.first[b] <= tracks.last[a])
    return len({*tracks.cameras} - {UNKNOWN}) > 1


def mutual(scores: dict[tuple[int, int], float], nodes: range) -> list[tuple[int, int]]:
    """Return the pairs a < b that are each other's best partner."""
    best = {}
    for a in nodes:
        options = [(scores[a, b], -b) for b in nodes if (a, b) in scores]
        best[a] = -max(options)[1] if options else None
    return [(a, b) for a, b in combinations(nodes, 2) if best[a] == b and best[b] == a]


def slow_align(vectors: Vectors, tracks: Tracks) -> Vectors:
    nodes = range(len(vectors))
    names = sorted({*tracks.cameras.tolist()})
    aligned = vectors
    for _ in range(ALIGNMENTS):
        scores = {
            (a, b): float(aligned[a] @ aligned[b])
            for a, b in product(nodes, nodes)
            if tracks.cameras[a] != tracks.cameras[b]
        }

        def margin(a: int, scores: dict[tuple[int, int], float] = scores) -> float:
            ranked = sorted((scores[a, b] for b in nodes if (a, b) in scores), reverse=True)
            return ranked[0] - ranked[1] if len(ranked) > 1 else np.inf

        pairs = mutual(scores, nodes)
        pairs.sort(key=lambda pair: -min(margin(pair[0]), margin(pair[1])))
        rows, targets = [], []
        for a, b in pairs[: (len(pairs) + 1) // 2]:
            if UNKNOWN in (tracks.cameras[a], tracks.cameras[b]):
                continue
            row = np.zeros(len(names))
            row[names.index(tracks.cameras[a])] += 1
            row[names.index(tracks.cameras[b])] -= 1
            rows.append(row)
            targets.append(vectors[a] - vectors[b])
        if not rows:
            return aligned
        matrix, target = np.array(rows), np.array(targets)
        offsets = np.linalg.solve(matrix.T @ matrix + np.eye(len(names)), matrix.T @ target)
        aligned = [unit(v - offsets[names.index(tracks.cameras[t])]) for t, v in enumerate(vectors)]
    return aligned


def slow_clusters(features: np.ndarray, tracks: Tracks, k: int) -> list[set[int]]:
    """Join tracks one obvious step after the other; return the clusters of two or more."""
    nodes = range(len(tracks))
    vectors = slow_align([unit(features[tracks.of == t].sum(0)) for t in nodes], tracks)
    scale = []
    for a in nodes:
        near = [vectors[a] @ vectors[b] for b in nodes if b != a and not never_one(tracks, a, b)]
        scale.append(np.mean(sorted(near)[-k:]) if near else 0.0)
    groups = [{t} for t in nodes]
    while True:
        numbers = range(len(groups))
        scores = {}
        for g, h in product(numbers, numbers):
            pairs = list(product(groups[g], groups[h]))
            if g != h and not any(never_one(tracks, a, b) for a, b in pairs):
                scores[g, h] = float(
                    np.mean([2 * vectors[a] @ vectors[b] - scale[a] - scale[b] for a, b in pairs])
                )
        joined = [(g, h) for g, h in mutual(scores, numbers) if scores[g, h] > 0]
        if not joined:
            return [group for group in groups if len(group) > 1]
        gone = {h for _, h in joined}
        for g, h in joined:
            groups[g] |= groups[h]
        groups = [group for n, group in enumerate(groups) if n not in gone]


def world(seed: int, *, timed: float, unknown: float = 0.0) -> tuple[np.ndarray, Tracks, list[int]]:
    """Draw 10 identities, seen by up to 4 cameras in one or two tracks of three images each."""
    rng = np.random.default_rng(seed)
    people, cameras = rng.normal(size=(10, 12)), 0.7 * rng.normal(size=(4, 12))
    rows, of, where, first, who = [], [], [], [], []
    for person, camera in product(range(10), range(4)):
        for _ in range(int(rng.integers(0, 3))):
            centre = people[person] + cameras[camera] + 0.4 * rng.normal(size=12)
            rows += [centre + 0.05 * rng.normal(size=12) for _ in range(3)]
            of += [len(where)] * 3
            where.append(UNKNOWN if rng.random() < unknown else camera)
            first.append(rng.uniform(0, 30) if rng.random() < timed else np.nan)
            who.append(person)
    times = np.array(first)
    features = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    return features, Tracks(np.array(of), np.array(where), times, times + 3), who


def found_clusters(features: np.ndarray, tracks: Tracks, k: int) -> list[set[int]]:
    labels = cluster_tracks(torch.from_numpy(features).float(), tracks, k)
    by_track = {t: {*labels[tracks.of == t].tolist()} for t in range(len(tracks))}
    assert all(len(each) == 1 for each in by_track.values())
    clusters = [{t for t in by_track if c in by_track[t]} for c in range(labels.max() + 1)]
    assert sorted({*labels.tolist()} - {OUTLIER}) == list(range(len(clusters)))
    return clusters


@pytest.fixture(params=["few", "many"])
def number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use the searches of few tracks, or those of many."""
    monkeypatch.setattr(track_search, "BLOCK_BYTES", 2000)  # several blocks
    monkeypatch.setattr(cpu_search, "TILE", 64)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    monkeypatch.setattr(track_search, "MANY", 0 if request.param == "many" else 10_000)
    return str(request.param)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("timed", [0.0, 0.8, 1.0])
@pytest.mark.usefixtures("number")
def test_clusters_are_those_of_the_obvious_way(seed: int, timed: float) -> None:
    features, tracks, _ = world(seed, timed=timed, unknown=0.2 * (seed % 3 == 0))
    expected = slow_clusters(features, tracks, 3)
    key = lambda cluster: min(cluster)  # noqa: E731
    assert sorted(found_clusters(features, tracks, 3), key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("timed", [0.0, 1.0])
def test_tracks_seen_at_once_are_never_joined(timed: float) -> None:
    for seed in range(20):
        features, tracks, _ = world(seed, timed=timed)
        for cluster in found_clusters(features, tracks, 4):
            assert not any(never_one(tracks, a, b) for a, b in combinations(cluster, 2))


def test_offsets_of_cameras_do_not_matter() -> None:
    features, tracks, who = world(3, timed=1.0)
    clusters = found_clusters(features, tracks, 4)
    right = sum(who[a] == who[b] for c in clusters for a, b in combinations(c, 2))
    pairs = sum(len(c) * (len(c) - 1) // 2 for c in clusters)
    assert right / pairs > 0.9


@pytest.mark.usefixtures("number")
def test_one_camera_without_times_joins_its_tracks() -> None:
    features, tracks, _ = world(1, timed=0.0)
    one = Tracks(tracks.of, np.zeros_like(tracks.cameras), tracks.first, tracks.last)
    assert found_clusters(features, one, 3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("number")
def test_few_tracks(count: int) -> None:
    features = torch.eye(count)
    nothing = np.full(count, np.nan)
    tracks = Tracks(np.arange(count), np.arange(count), nothing, nothing)
    assert cluster_tracks(features, tracks, 4).tolist() in ([OUTLIER] * count, [0] * count)


@pytest.mark.usefixtures("number")
def test_answers_about_tracks() -> None:
    """`same` joins two tracks that are far apart, `different` separates two that are near."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((6, 16)).repeat(2, 0) + 0.1 * rng.standard_normal((12, 16))
    features = torch.from_numpy(centres.repeat(2, 0).astype(np.float32))
    features = torch.nn.functional.normalize(features)
    tracks = Tracks.from_arrays(np.arange(24) // 2, np.zeros(24, np.int64), np.arange(24.0))
    plain = cluster_tracks(features, tracks, 2)
    assert plain[0] == plain[2] != OUTLIER
    assert plain[4] == plain[6] != plain[0]
    answers = Answers(np.array([[1, 5]]), np.array([[0, 3]]))
    found = cluster_tracks(features, tracks, 2, answers)
    assert found[0] == found[4] != OUTLIER
    assert found[0] != found[2]
    nothing = Answers(*np.empty((2, 0, 2), np.int64))
    assert (cluster_tracks(features, tracks, 2, nothing) == plain).all()
