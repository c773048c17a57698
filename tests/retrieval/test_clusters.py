"""Clusters of images: the label stage on their features."""

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pplr_cli.data.store import ImageStore
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.features import extract
from pplr_cli.ingest.folder import open_images
from pplr_cli.labelling.stage import label
from pplr_cli.progress import Silent
from pplr_cli.retrieval.clusters import cluster_images


def expected(model, images, mirrored, tracks):
    store = ImageStore.open(images, model.config.data, model.runtime)
    features = extract(model.network, store, model.runtime, batch=4, mirrored=mirrored)
    settings = model.config.clustering, model.config.agreement
    return label(features, images.cameras, *settings, tracks=tracks)


def test_images(tiny_model, tiny_data):
    images = open_images(Path("tiny"), tiny_data, Silent())
    found = cluster_images(tiny_model, images)
    pseudo = expected(tiny_model, images, mirrored=False, tracks=None)
    assert found.pseudo.clusters > 1
    np.testing.assert_array_equal(found.pseudo.labels, pseudo.labels)
    np.testing.assert_array_equal(found.pseudo.agreement, pseudo.agreement)


def test_found_tracks_are_clustered_with_mirror_images(tiny_model, tiny_data):
    images = open_images(Path("tiny"), tiny_data, Silent())
    settings = tiny_model.config.clustering.model_copy(update={"find_tracks": True})
    config = tiny_model.config.model_copy(update={"clustering": settings})
    model = copy(tiny_model)
    model.config = config
    pseudo = expected(model, images, mirrored=True, tracks=None)
    assert pseudo.clusters > 1
    np.testing.assert_array_equal(cluster_images(model, images).pseudo.labels, pseudo.labels)


def test_tracks_are_clustered_with_mirror_images(tiny_model, tiny_data):
    images = open_images(Path("tiny"), tiny_data, Silent())
    images = replace(images, tracks=np.arange(len(images)) // 4, times=np.arange(len(images)) * 1.0)
    found = cluster_images(tiny_model, images)
    tracks = Tracks.from_images(images)
    pseudo = expected(tiny_model, images, mirrored=True, tracks=tracks)
    np.testing.assert_array_equal(found.pseudo.labels, pseudo.labels)
    for track in range(len(tracks)):
        assert len(np.unique(found.pseudo.labels[tracks.of == track])) == 1
    torch.testing.assert_close(found.pseudo.agreement, pseudo.agreement)
