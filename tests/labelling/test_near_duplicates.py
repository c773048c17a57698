"""Tracks found among the images of each camera."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from benchmarks import dense
from benchmarks.dense import TIE
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.near_duplicates import by_tracks, find_tracks
from pplr_cli.labelling.stage import label

SETTINGS = Clustering(find_tracks=True, track_eps=0.4 + TIE)


def frames(people: int, cameras: int, each: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Return features of people who pass each camera once, `each` frames nearly alike."""
    generator = torch.Generator().manual_seed(seed)
    passed = torch.randn(people * cameras, 1, 32, generator=generator)
    noise = 0.1 * torch.randn(people * cameras, each, 32, generator=generator)
    seen = np.arange(people * cameras).repeat(each) % cameras
    return F.normalize((passed + noise).flatten(0, 1)), seen


@given(
    cameras=st.integers(1, 3),
    each=st.integers(1, 6),
    seed=st.integers(0, 999),
    k=st.tuples(st.integers(2, 8), st.integers(1, 2)),
)
def test_tracks_are_those_of_the_dense_definition(
    cameras: int, each: int, seed: int, k: tuple[int, int]
) -> None:
    features, seen = frames(8, cameras, each, seed)
    k1, k2 = min(k[0], len(features)), min(k)
    settings = SETTINGS.model_copy(update={"k1_own": k1, "k2_own": k2})
    distances = dense.camera_jaccard_distance(features.numpy(), seen, (k1, 0), (k2, 0))
    labels = dense.cluster(distances, settings.track_eps, 2)
    tracks = find_tracks(features, seen, settings)
    alone = labels == -1
    together = (labels[:, None] == labels) & ~alone | np.eye(len(labels), dtype=bool)
    np.testing.assert_array_equal(tracks.of[:, None] == tracks.of, together)


def test_frames_of_one_pass_are_a_track_and_cameras_are_kept() -> None:
    features, seen = frames(10, 2, 5)
    tracks = find_tracks(features, seen, SETTINGS)
    assert len(tracks) == 20
    assert (tracks.cameras[tracks.of] == seen).all()
    assert len({*tracks.of.reshape(20, 5)[:, 0]}) == 20
    assert (tracks.of.reshape(20, 5) == tracks.of.reshape(20, 5)[:, :1]).all()
    assert not tracks.timed.any()


def test_images_that_people_call_different_are_never_in_one_track() -> None:
    features, seen = frames(10, 2, 5)
    nothing, different = np.empty((0, 2), np.int64), np.array([[0, 1], [10, 14]])
    tracks = find_tracks(features, seen, SETTINGS, Answers(nothing, different))
    assert tracks.of[0] != tracks.of[1]
    assert tracks.of[10] != tracks.of[14]
    assert tracks.of[5] == tracks.of[9]


@pytest.mark.parametrize("cameras", [[0, 0], [-1, -1], [-1, 0]])
def test_without_two_cameras_nothing_changes(cameras: list[int]) -> None:
    features, seen = frames(10, 2, 5)
    seen = np.array(cameras)[seen]
    assert not by_tracks(SETTINGS, seen, None)
    plain, few = Clustering(k1=6), Agreement(k=5)
    found = label(features[None], seen, plain.model_copy(update={"find_tracks": True}), few)
    assert (found.labels == label(features[None], seen, plain, few).labels).all()


def test_given_tracks_come_first() -> None:
    features, seen = frames(10, 2, 5)
    tracks = Tracks.from_arrays(np.arange(100) // 10, seen, np.arange(100.0))
    assert by_tracks(Clustering(), seen, tracks)
    assert not by_tracks(Clustering(), seen, None)
    used = SETTINGS, Agreement(k=5)
    found = label(features[None], seen, *used, tracks=tracks)
    expected = label(features[None], seen, Clustering(), used[1], tracks=tracks)
    assert (found.labels == expected.labels).all()
