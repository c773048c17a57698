"""Evaluation of a network on a manifest."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.data.augment import normalise
from pplr_cli.data.cache import decode_images
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.runtime import Runtime


def test_scores_are_those_of_the_global_features(tiny_data: Path, tiny_preset: Path) -> None:
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    config = presets.resolve(str(tiny_preset), "train")
    network = Network("tiny").eval()
    features, ids, cameras = [], [], []
    for split in (Split.QUERY, Split.GALLERY):
        images = manifest.split(split)
        pixels = decode_images(images, 32, 16, Silent(), 1)
        with torch.no_grad():
            features.append(network.embed(normalise(torch.from_numpy(pixels)))[0])
        ids.append(images.identities)
        cameras.append(images.cameras)
    expected = evaluate(*features, find_relevance(*ids, *cameras))
    found = Evaluator(manifest, config, Runtime()).scores(network)
    assert found.mAP == pytest.approx(expected.mAP, abs=1e-6)
    assert found.queries == expected.queries > 0


def test_a_data_set_without_labels_cannot_be_evaluated(tiny_data: Path, tiny_preset: Path) -> None:
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    bare = replace(manifest, images=tuple(i._replace(identity=-1) for i in manifest.images))
    with pytest.raises(DataError, match="no query and gallery"):
        Evaluator(bare, presets.resolve(str(tiny_preset), "train"), Runtime())
