"""Queries of several images, against an obvious version."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import UsageError
from pplr_cli.retrieval.queries import group_images, query_names

PATHS = ("b/1.jpg", "a/2.jpg", "c.jpg", "a/3.jpg", "b/4.jpg", "b/x/5.jpg")


def images(tracks=None, cameras=(0, 0, 0, 0, 1, 1)):
    times = None if tracks is None else np.arange(6.0)
    ids = np.full(6, -1)
    given = None if tracks is None else np.array(tracks)
    return ImageSet(Path("crops"), PATHS, ids, np.array(cameras), tracks=given, times=times)


@pytest.mark.parametrize(
    ("as_one", "tracks", "expected", "names"),
    [
        (None, None, [[0], [1], [2], [3], [4], [5]], [f"crops/{path}" for path in PATHS]),
        ("folder", None, [[0, 4], [1, 3], [2], [5]], ["crops/b", "crops/a", "crops", "crops/b/x"]),
        # equal numbers in two cameras are two tracks; an image without is alone
        ("track", [7, 3, -1, 7, 7, -1], [[0, 3], [1], [2], [4], [5]],
         [f"crops/{PATHS[row]}" for row in (0, 1, 2, 4, 5)]),
    ],
)  # fmt: skip
def test_groups(as_one, tracks, expected, names):
    groups = group_images(images(tracks), as_one)
    found = [np.flatnonzero(groups.of == group).tolist() for group in range(len(groups.first))]
    assert found == expected
    assert groups.first.tolist() == [rows[0] for rows in expected]
    assert query_names(images(tracks), groups, as_one) == [Path(name) for name in names]
    features = torch.nn.functional.normalize(torch.randn(6, 4))
    means = groups.mean(features)
    for rows, mean in zip(expected, means, strict=True):
        slow = sum(features[row] for row in rows) / len(rows)
        torch.testing.assert_close(mean, slow / slow.norm())


def test_no_tracks():
    with pytest.raises(UsageError, match="the images have no tracks"):
        group_images(images(), "track")
