"""Answer questions about pairs of images by the identities, and measure what that does to labels.

    python -m benchmarks.review demo
    python -m benchmarks.review demo --visits --weights runs/demo-train-cam/last.pth
    python -m benchmarks.review people --weights start.pth --size 128 64 --eps 0.5

Compares the pairs that `pplr review` asks about with random pairs, and with random neighbours: an
image and one of its ten nearest. The identities answer; what follows from earlier answers is not
asked. The F-score is that of all pairs of images, outliers in no pair.

Two more rows show what limits the gain: `chosen, 20 at a time` clusters with the answers after each
20 and chooses anew, as `pplr review RUN --answers` does; `perfect` knows the answers and asks only
questions that change the clusters, those of the most image pairs first.
"""

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import initial_network
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.neighbors import nearest
from pplr_cli.labelling.questions import Parts, parts_of_images, parts_of_tracks, questions
from pplr_cli.labelling.stage import find_neighbors, label, similarity
from pplr_cli.progress import SILENT
from pplr_cli.report.label_quality import label_quality
from pplr_cli.runtime import Runtime
from pplr_cli.weights.initial import initial_weights

Ints = NDArray[np.int64]
Pair = tuple[int, int]

NEAR = 10


class Closure:
    """Which items are known to be one identity, or two: as `review.js` keeps it, but slow."""

    def __init__(self) -> None:
        self._groups: list[set[int]] = []
        self._apart: list[Pair] = []

    def decided(self, one: int, other: int) -> bool:
        """Return whether earlier answers decide about two items."""
        a, b = self._group(one), self._group(other)
        if a is b:
            return True
        return any((x in a and y in b) or (x in b and y in a) for x, y in self._apart)

    def add(self, one: int, other: int, *, same: bool) -> None:
        """Add an answer that does not contradict the others."""
        a, b = self._group(one), self._group(other)
        if not same:
            self._apart.append((one, other))
        elif a is not b:
            self._groups.remove(b)
            a |= b

    def _group(self, item: int) -> set[int]:
        for group in self._groups:
            if item in group:
                return group
        self._groups.append({item})
        return self._groups[-1]


def reply(pairs: Iterable[Pair], items: Ints, identities: Ints, count: int) -> list[Pair]:
    """Return the first `count` pairs that earlier answers do not decide."""
    closure, asked = Closure(), []
    for one, other in pairs:
        a, b = int(items[one]), int(items[other])
        if a != b and not closure.decided(a, b):
            closure.add(a, b, same=bool(identities[one] == identities[other]))
            asked.append((one, other))
        if len(asked) == count:
            break
    return asked


def in_rounds(bench: "Bench", count: int, each: int = 20) -> list[Pair]:
    """Return the pairs that are asked if clusters and questions are made anew after each few."""
    identities, asked = bench.images.identities, list[Pair]()
    while len(asked) < count:
        labels = bench.labels(answers_of(asked, identities))
        pairs = chain(asked, bench.chosen(labels))
        before = len(asked)
        asked = reply(pairs, bench.items, identities, min(before + each, count))
        if len(asked) == before:
            break
    return asked


def answers_of(asked: list[Pair], identities: Ints) -> Answers:
    """Return the answers that the identities give."""
    pairs = np.array(asked, np.int64).reshape(-1, 2)
    same = identities[pairs[:, 0]] == identities[pairs[:, 1]]
    return Answers(pairs[same], pairs[~same])


class Bench(NamedTuple):
    """A clustering to improve.

    Attributes:
        config: its settings.
        images: the training images.
        tracks: their tracks, if tracks are clustered.
        features: float32 [1 + P, N, D].
    """

    config: Config
    images: ImageSet
    tracks: Tracks | None
    features: Tensor

    def labels(self, answers: Answers | None = None) -> Ints:
        """Return the labels that the next epoch would train on."""
        used = self.config.clustering, self.config.agreement
        cameras = self.images.cameras
        return label(self.features, cameras, *used, tracks=self.tracks, answers=answers).labels

    def chosen(self, labels: Ints) -> Iterator[Pair]:
        """Yield the pairs of `pplr review`."""
        yield from map(tuple, questions(self.parts(labels), labels)[0].tolist())

    def perfect(self, labels: Ints) -> Iterator[Pair]:
        """Yield the pairs whose answers change the clusters, those of the most images first."""
        parts, identities = self.parts(labels), self.images.identities
        pairs = parts.centres[parts.pairs]
        inside = (labels[pairs[:, 0]] == labels[pairs[:, 1]]) & (labels[pairs[:, 0]] != OUTLIER)
        same = identities[pairs[:, 0]] == identities[pairs[:, 1]]
        moved = np.bincount(parts.of)[parts.pairs].prod(1) * (inside != same)
        order = np.argsort(-moved, kind="stable")
        yield from map(tuple, pairs[order[moved[order] > 0]].tolist())

    def parts(self, labels: Ints) -> Parts:
        """Return what `pplr review` asks about."""
        settings, vectors = self.config.clustering, self.features[0]
        if self.tracks is not None:
            return parts_of_tracks(vectors, self.tracks, labels, settings.track_k)
        found = find_neighbors(vectors, self.images.cameras, settings)
        return parts_of_images(similarity(vectors, found, settings), labels)

    def random(self, seed: int) -> Iterator[Pair]:
        """Yield random pairs without end."""
        rng = np.random.default_rng(seed)
        while True:
            one, other = rng.integers(0, len(self.images), 2)
            yield int(one), int(other)

    def neighbours(self, seed: int) -> Iterator[Pair]:
        """Yield random images with a random one of their nearest others, without end."""
        rng, items = np.random.default_rng(seed), self.items
        ranks = nearest(self.features[0], min(10 * NEAR, len(self.images)))
        while True:
            one = int(rng.integers(0, len(self.images)))
            others = ranks[one][items[ranks[one]] != items[one]][:NEAR]
            if len(others):
                yield one, int(rng.choice(others))

    @property
    def items(self) -> Ints:
        """What an answer is about: the track of each image, or the image itself."""
        return np.arange(len(self.images)) if self.tracks is None else self.tracks.of


def load(options: argparse.Namespace) -> Bench:
    """Compute the features of the training images."""
    folder = env.data_dir(options.data_dir) / options.data
    images = Manifest.load(folder / FILE_NAME).split(Split.TRAIN)
    height, width = options.size
    settings = {
        "data.height": height,
        "data.width": width,
        "model.weights": options.weights,
        "clustering.eps": options.eps,
    }
    config = presets.resolve("demo", "train-cam", presets.as_texts(settings))
    tracks = Tracks.from_images(images)
    if options.visits:
        times = np.arange(len(images), dtype=np.float64)
        tracks = Tracks.from_arrays(images.identities, images.cameras, times)
    network = initial_network(config, initial_weights(config.model, SILENT), SILENT)
    runtime = Runtime(torch.device("cpu"), SILENT, workers=1)
    store = ImageStore.open(images, config.data, runtime)
    features = extract(network, store, runtime, batch=128, mirrored=tracks is not None)
    return Bench(config, images, tracks, features)


def quality(labels: Ints, identities: Ints) -> str:
    """Return F-score, precision and recall over pairs in %."""
    found = label_quality(labels, identities)
    precision, recall = 100 * found["precision"], 100 * found["recall"]
    score = 2 * precision * recall / (precision + recall)
    return f"{score:.1f} ({precision:.0f} / {recall:.0f})"


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    bench = load(options)
    identities, labels = bench.images.identities, bench.labels()
    print(f"{options.data}: {len(labels)} images, no answers: {quality(labels, identities)}")
    print("| pairs | answered same | " + " | ".join(map(str, options.answers)) + " |")
    print("| --- " * (2 + len(options.answers)) + "|")
    most = max(options.answers)
    ways: dict[str, Iterable[Pair]] = {
        "chosen": bench.chosen(labels),
        "chosen, 20 at a time": in_rounds(bench, most),
        "perfect": bench.perfect(labels),
        "random neighbours": bench.neighbours(1),
        "random": bench.random(1),
    }
    for name, pairs in ways.items():
        asked = reply(pairs, bench.items, identities, most)
        cells = [
            quality(bench.labels(answers_of(asked[:count], identities)), identities)
            for count in options.answers
        ]
        share = len(answers_of(asked, identities).same)
        print(f"| {name} | {share} | " + " | ".join(cells) + " |", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="name of the prepared data set")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", default="synthetic")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 48), help="height and width")
    parser.add_argument("--eps", type=float, default=0.4)
    parser.add_argument("--visits", action="store_true", help="one track per identity and camera")
    parser.add_argument("--answers", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
