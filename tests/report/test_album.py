"""Which images the report shows, and why an outlier is one."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.config.fields import Clustering
from pplr_cli.data.images import ImageSet
from pplr_cli.labelling.clustering import why_outlier
from pplr_cli.report.album import CLUSTERS, IN_A_CLUSTER, OUTLIERS, Album, spread

CLUSTERING = Clustering(min_samples=4, k1=20)


def album(
    labels: list[int],
    size: tuple[int, int] = (32, 16),
    identities: np.ndarray | None = None,
    **more: Any,
) -> Album:
    """An album of images whose grey is their number; two of each identity unless given."""
    n = len(labels)
    who = np.arange(n) // 2 if identities is None else identities
    pixels = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, *size, 3))
    images = ImageSet(Path("/nowhere"), tuple(f"{i}.jpg" for i in range(n)), who, np.arange(n) % 3)
    arrays = {"labels": np.array(labels), "agreement": np.full((n, 3), 0.5, np.float32), **more}
    return Album(images, pixels, arrays, CLUSTERING)


def shown(uri: str) -> Picture.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Picture.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_the_least_pure_clusters_are_shown_with_the_intruders_last() -> None:
    labels = np.repeat(np.arange(10), 4)
    identities = labels + 100
    identities[[32, 34, 39]] = 7, 6, 8
    found = album(labels.tolist(), identities=identities).clusters()
    mixed = [each for each in found if each.identities and each.identities > 1]
    assert [(each.number, each.kind) for each in mixed] == [(8, "least pure"), (9, "least pure")]
    assert [(crop.path, crop.kind) for crop in mixed[0].crops] == [
        *(("33.jpg", ""), ("35.jpg", "")),
        *(("34.jpg", "other"), ("32.jpg", "other")),
    ]
    assert mixed[1].crops[-1].note == "camera 0, identity 8"
    assert mixed[1].about.endswith("75 % one identity")


def test_largest_median_and_least_agreed_clusters() -> None:
    sizes = [2, 30, 12, 3, 20, 11, 4, 5]
    labels = np.repeat(np.arange(8), sizes)
    agreement = np.array([0.2, 0.05, 0.3, 0.6, 0.7, 0.8, 0.9, 0.1])[labels, None].repeat(3, 1)
    found = album(labels.tolist(), identities=labels, agreement=agreement).clusters()
    assert [(each.number, each.kind) for each in found] == [
        *((1, "largest"), (4, "largest")),
        *((5, "median"), (7, "median")),
        *((0, "least agreed"), (2, "least agreed")),  # those shown already do not come again
    ]
    assert found[0].about == "30 images, 3 cameras, agreement 0.05, 100 % one identity"
    assert len(found[0].crops) == IN_A_CLUSTER
    assert [crop.note for crop in found[4].crops] == ["camera 0", "camera 1"]


def test_fewer_clusters_than_are_shown() -> None:
    assert [each.number for each in album([0, 0, 1, 1, -1]).clusters()] == [0, 1]
    assert album([-1, -1]).clusters() == []
    assert CLUSTERS == 2


def test_pictures_are_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = album([0] * 100 + [-1] * 100)
    for crop in (whole.clusters()[0].crops[-1], whole.outliers()[-1].crop):
        picture = shown(crop.uri)
        assert picture.size == whole.size == (64, 128)
        grey = int(crop.path.removesuffix(".jpg"))
        assert abs(np.asarray(picture).astype(int) - grey).max() <= 2


@pytest.mark.parametrize(
    ("size", "expected"), [((384, 128), (64, 128)), ((256, 256), (64, 64)), ((16, 32), (64, 32))]
)
def test_crops_are_not_stretched(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert album([0, 0], size).size == expected


def test_outliers_from_the_loneliest_on() -> None:
    n = 20
    explanation = {
        "neighbors": np.r_[np.full(10, 9), np.full(5, 3), np.full(5, 1)].astype(np.int32),
        "reciprocal": np.arange(n, dtype=np.int32),
        "nearest": np.tile(np.array([[0, 19]], np.int32), (n, 1)),
        "within": np.tile(np.array([[True, False]]), (n, 1)),
    }
    found = album([0] * 10 + [-1] * 10, **explanation).outliers()
    assert len(found) == OUTLIERS
    assert [each.crop.path for each in (found[0], found[-1])] == ["15.jpg", "14.jpg"]
    assert [(each.path, each.note, each.kind) for each in found[0].nearest] == [
        ("0.jpg", "camera 0, cluster 0", "within"),
        ("19.jpg", "camera 1, outlier", ""),
    ]
    assert found[-1].why == why_outlier(3, 14, CLUSTERING)


def test_outliers_without_explanation() -> None:
    (found,) = album([0, 0, -1]).outliers()
    assert (found.nearest, found.why) == ([], "")


def test_spread() -> None:
    assert spread(list(range(100)), 4).tolist() == [0, 33, 66, 99]
    assert spread([3, 1], 4).tolist() == [3, 1]
    assert spread([], 4).tolist() == []
