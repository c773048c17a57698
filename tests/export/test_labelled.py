"""The distance threshold of a model card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pplr_cli.data.images import UNKNOWN, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.export.labelled import find_threshold, some_identities
from pplr_cli.retrieval.model import Model


@pytest.fixture(scope="module")
def manifest(tiny_data: Path) -> Manifest:
    return Manifest.load(tiny_data / "tiny" / "manifest.json")


def test_images_that_were_not_trained_on_are_preferred(model: Model, manifest: Manifest) -> None:
    found = find_threshold(model, manifest)
    assert found is not None
    assert (found.source, found.identities) == ("query and gallery", 4)
    tested = [image for image in manifest.images if image.split != Split.TRAIN]
    assert found.images == sum(image.identity != UNKNOWN for image in tested)
    features = model.embed([manifest.root / image.path for image in tested])
    people = np.array([image.identity for image in tested])
    cameras = np.array([image.camera for image in tested])
    apart = np.linalg.norm(features[:, None] - features, axis=2)
    same = people[:, None] == people
    mate = np.where(same & (cameras[:, None] != cameras), apart, np.inf).min(1)
    other = np.where(same, np.inf, apart).min(1)
    limit, right = found.threshold.distance, (mate < other) & (mate <= found.threshold.distance)
    accepted = (np.minimum(mate, other) <= limit).sum() + (other <= limit).sum()
    assert found.threshold.precision == pytest.approx(right.sum() / accepted)
    assert found.threshold.recall == pytest.approx(right.sum() / np.isfinite(mate).sum())


def test_training_images_are_used_if_there_are_no_others(model: Model, manifest: Manifest) -> None:
    images = tuple(image for image in manifest.images if image.split == Split.TRAIN)
    found = find_threshold(model, replace(manifest, images=images))
    assert found is not None
    assert (found.source, found.identities) == ("training images", 8)
    nameless = tuple(image._replace(identity=UNKNOWN) for image in manifest.images)
    assert find_threshold(model, replace(manifest, images=nameless)) is None


def test_large_sets_are_thinned_by_identity(manifest: Manifest) -> None:
    images = manifest.split(Split.TRAIN)
    few = some_identities(images, len(images) // 3)
    assert len(np.unique(few.identities)) == 3
    for identity in np.unique(few.identities):
        assert (few.identities == identity).sum() == (images.identities == identity).sum()
    assert len(some_identities(images, len(images))) == len(images)
    assert len(np.unique(some_identities(images, 1).identities)) == 2
