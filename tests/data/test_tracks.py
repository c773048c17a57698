from pathlib import Path

import numpy as np
import pytest

from pplr_cli.data.images import UNKNOWN, ImageSet
from pplr_cli.data.tracks import Tracks


def images(rows: list[tuple[int, int, float]]) -> ImageSet:
    """Return images with (camera, track, time)."""
    cameras, tracks, times = (np.array(each) for each in zip(*rows, strict=True))
    paths = tuple(f"{n}.jpg" for n in range(len(rows)))
    return ImageSet(
        Path("x"),
        paths,
        np.full(len(rows), UNKNOWN),
        cameras,
        tracks=tracks,
        times=times.astype(np.float64),
    )


def test_tracks_of_two_cameras_are_two_and_images_without_one_are_alone() -> None:
    tracks = Tracks.from_images(
        images([(0, 7, 3), (1, 7, 3), (0, 7, 1), (0, -1, 5), (0, -1, 6), (0, 7, -1)])
    )
    assert tracks is not None
    of = tracks.of.tolist()
    assert of[0] == of[2] == of[5]
    assert len({*of}) == len(tracks) == 4
    assert [tracks.cameras[of[n]] for n in (0, 1, 3)] == [0, 1, 0]
    assert [(tracks.first[of[n]], tracks.last[of[n]]) for n in (0, 3)] == [(1, 3), (5, 5)]


def test_times_may_be_unknown() -> None:
    tracks = Tracks.from_images(images([(0, 1, -1), (0, 2, 4)]))
    assert tracks is not None
    assert tracks.timed.tolist() == [False, True]
    assert tracks.overlaps().nnz == 0


def test_without_tracks_there_are_none() -> None:
    bare = ImageSet(Path("x"), ("a.jpg",), np.array([3]), np.array([1]))
    assert Tracks.from_images(bare) is None


@pytest.mark.parametrize("seed", range(10))
def test_overlaps_are_those_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cameras = rng.integers(-1, 3, 40)
    first = rng.integers(0, 30, 40).astype(np.float64)
    last = first + rng.integers(0, 6, 40)
    first[rng.random(40) < 0.2] = np.nan
    found = Tracks(np.arange(40), cameras, first, last).overlaps().toarray()
    for a in range(40):
        for b in range(40):
            same = a != b and cameras[a] == cameras[b] != UNKNOWN
            assert found[a, b] == (same and first[a] <= last[b] and first[b] <= last[a])
