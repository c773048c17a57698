"""Evaluations by other rules than Market-1501's, against a slow and obvious version."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pplr_cli.data.images import UNKNOWN, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.protocol import Protocol, compare

PROTOCOLS = [
    Protocol(same, leave, as_one)
    for same, leave, as_one in product(("ignore", "keep"), (False, True), (None, "track"))
]


@pytest.fixture
def tiny(tiny_data):
    """The test images of `tiny`, with tracks of three images and some distractors."""
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    images = [
        image._replace(track=number // 3 if number % 7 else UNKNOWN, time=float(number))
        for number, image in enumerate(manifest.images)
        if image.split != Split.TRAIN
    ]
    for number in range(len(images) - 9, len(images), 2):
        images[number] = images[number]._replace(identity=UNKNOWN, camera=UNKNOWN)
    return replace(manifest, images=tuple(images))


def slow_scores(model, manifest, protocol):
    """Return mAP, rank-1 and the number of queries, one query and one gallery image at a time."""
    gallery = [image for image in manifest.images if image.split == Split.GALLERY]
    if protocol.leave_one_out and not gallery:
        gallery = list(manifest.images)
    query = [image for image in manifest.images if image.split == Split.QUERY]
    if protocol.leave_one_out:
        query = [image for image in gallery if image.identity != UNKNOWN]
    groups = {}
    for image in query:
        whole = protocol.as_one == "track" and image.track != UNKNOWN
        key = (image.camera, image.track, image.identity) if whole else image.path
        groups.setdefault(key, []).append(image)
    paths = sorted({image.path for image in (*query, *gallery)})
    vectors = model.embed([manifest.root / path for path in paths])
    features = dict(zip(paths, vectors.astype(np.float64), strict=True))
    precisions, firsts = [], []
    for images in groups.values():
        mean = sum(features[image.path] for image in images)
        mean = mean / np.linalg.norm(mean)
        distances, right = [], []
        for other in gallery:
            same = other.identity == images[0].identity
            own = other.path in [image.path for image in images]
            camera = other.camera == images[0].camera and protocol.same_camera == "ignore"
            if own or (same and camera):
                continue
            distances.append(np.linalg.norm(features[other.path] - mean))
            right.append(same)
        if any(right):
            precisions.append(average_precision_score(right, -np.array(distances)))
            firsts.append(right[int(np.argmin(distances))])
    return np.mean(precisions), np.mean(firsts), len(precisions), len(groups)


def check(model, manifest, protocol):
    found = Evaluator(manifest, model.config, model.runtime, protocol).scores(model.network)
    precision, first, queries, groups = slow_scores(model, manifest, protocol)
    assert found.mAP == pytest.approx(precision, abs=2e-4)  # distances equal in float32
    assert found.rank(1) == pytest.approx(first)
    assert (found.queries, found.queries + found.skipped) == (queries, groups)
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_scores(tiny_model, tiny, protocol):
    check(tiny_model, tiny, protocol)


@pytest.mark.parametrize("same_camera", ["ignore", "keep"])
def test_training_images_alone(tiny_model, tiny, same_camera):
    images = tuple(image._replace(split=Split.TRAIN) for image in tiny.images)
    found = check(tiny_model, replace(tiny, images=images), Protocol(same_camera, True))
    assert found.queries > 20


def test_without_cameras_and_with_distractors_without_camera(tiny_model, tiny):
    bare = tuple(image._replace(camera=UNKNOWN) for image in tiny.images)
    manifest = replace(tiny, images=bare)
    check(tiny_model, manifest, Protocol("keep"))
    with pytest.raises(DataError, match="images without camera") as caught:
        compare(manifest, Protocol())
    assert "--same-camera keep" in str(caught.value.hint)


def test_more_distractors_lower_the_score(tiny_model, tiny):
    clean = tuple(image for image in tiny.images if image.identity != UNKNOWN)
    with_some, without = (
        check(tiny_model, manifest, Protocol()).mAP
        for manifest in (tiny, replace(tiny, images=clean))
    )
    assert with_some < without


def test_a_track_of_two_identities_is_two_queries(tiny):
    images = [i._replace(track=1, camera=0, time=0.0) for i in tiny.images if i.identity >= 0]
    found = compare(replace(tiny, images=tuple(images)), Protocol("keep", as_one="track"))
    queries = [image for image in images if image.split == Split.QUERY]
    assert len(found.groups.first) == len({image.identity for image in queries}) > 1


def test_what_cannot_be_compared(tiny):
    images = tuple(
        image._replace(split=Split.TRAIN) for image in tiny.images if image.identity >= 0
    )
    with pytest.raises(DataError, match="no query and gallery images with identities") as caught:
        compare(replace(tiny, images=images), Protocol())
    assert "--leave-one-out" in str(caught.value.hint)
    nobody = tuple(image._replace(identity=UNKNOWN) for image in images)
    with pytest.raises(DataError, match="no images with identities"):
        compare(replace(tiny, images=nobody), Protocol(leave_one_out=True))
    plain = tuple(image._replace(track=UNKNOWN) for image in tiny.images)
    with pytest.raises(UsageError, match="have no tracks"):
        compare(replace(tiny, images=plain), Protocol(as_one="track"))
