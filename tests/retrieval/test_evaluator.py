"""Evaluation of a network on a manifest."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.data.augment import normalise
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.runtime import Runtime
from tests.shared_reporter import Recorder


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


def test_a_query_does_not_find_its_own_copy(tmp_path: Path, tiny_preset: Path) -> None:
    """The same files in query and gallery, under invented cameras, are no match."""
    rng, listener = np.random.default_rng(0), Recorder()
    images = []
    for number in range(6):
        pixels = rng.integers(0, 255, (32, 16, 3), np.uint8)
        for split, camera in ((Split.QUERY, 0), (Split.GALLERY, 1)):
            path = f"{split}/{number}.png"
            (tmp_path / path).parent.mkdir(exist_ok=True)
            PIL.Image.fromarray(pixels).save(tmp_path / path)
            images.append(Image(split, path, number // 2, camera))
    digests = {i.path: sha256((tmp_path / i.path).read_bytes()).hexdigest() for i in images}
    manifest = Manifest("copies", "folder", tmp_path, tuple(images), {}, digests)
    evaluator = Evaluator(
        manifest, presets.resolve(str(tiny_preset), "train"), Runtime(reporter=listener)
    )
    (message,) = listener.warnings
    assert "6 gallery images that are copies of their query" in message
    network = Network("tiny").eval()
    survey = evaluator.survey(network, top=6)
    assert all(query not in images for query, images in enumerate(survey.ranked.images.tolist()))
    others = [survey.ranked.images[query].tolist().index(query ^ 1) for query in range(6)]
    assert survey.scores.rank(1) == np.mean([place == 0 for place in others])
    assert survey.scores.mAP == pytest.approx(np.mean([1 / (place + 1) for place in others]))
    without = evaluator.scores(network)
    assert without.copies == survey.scores.copies == 6
    assert (without.mAP, without.rank(1)) == (survey.scores.mAP, survey.scores.rank(1))
    assert without.rank(1) < 1


def test_a_data_set_without_labels_cannot_be_evaluated(tiny_data: Path, tiny_preset: Path) -> None:
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    bare = replace(manifest, images=tuple(i._replace(identity=-1) for i in manifest.images))
    with pytest.raises(DataError, match="no query and gallery"):
        Evaluator(bare, presets.resolve(str(tiny_preset), "train"), Runtime())
