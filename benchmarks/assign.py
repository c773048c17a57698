"""Measure `pplr assign` on images whose identities are known.

    python -m benchmarks.assign people --weights start.pth --size 128 64

Draws identities: of a quarter all images are known (the threshold comes from them), of three
eighths the images of one camera are known and the others new, the rest are strangers. Prints, as
means over `--draws`, how many of the tracks (or images) that got a known identity got theirs, and
of those with a known identity how many got it; with the automatic threshold, what the trials on the
known images promised, and with the threshold that would have been best.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.data.images import UNKNOWN, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.engine.network import initial_network
from pplr_cli.progress import SILENT
from pplr_cli.retrieval.assign import Units, assign_units, make_units
from pplr_cli.retrieval.crops import Crops, extract_crops
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.threshold import Threshold, choose_threshold, run_trials
from pplr_cli.runtime import Runtime
from pplr_cli.weights.initial import initial_weights

Ints = NDArray[np.int64]


class Drawn(NamedTuple):
    """A draw: known and new units and their identities, numbered as the known ones are."""

    known: Units
    owners: Ints
    new: Units
    identities: Ints  # int64 [U], `UNKNOWN` for strangers
    threshold: Threshold

    def outcome(self, distance: float, budget: int) -> tuple[float, float, float]:
        """Return precision, recall and F-score of the new units with a threshold."""
        people = int(self.owners.max()) + 1
        used = (self.new, self.known.vectors, self.owners, people, distance, budget)
        found = assign_units(*used)[0][self.new.first]
        accepted = found < people
        right = int((accepted & (found == self.identities)).sum())
        wanted, given = int((self.identities != UNKNOWN).sum()), int(accepted.sum())
        return right / max(given, 1), right / wanted, 2 * right / (given + wanted)


def draw(crops: Crops, seed: int, budget: int) -> Drawn:
    """Draw the known identities and images."""
    rng, images = np.random.default_rng(seed), crops.images
    people = rng.permutation(np.unique(images.identities))
    whole, half = len(people) // 4, len(people) * 5 // 8
    known = np.isin(images.identities, people[:whole])
    for person in people[whole:half]:
        of = images.identities == person
        known |= of & (images.cameras == rng.choice(np.unique(images.cameras[of])))
    sides = map(np.flatnonzero, (known, ~known))
    parts = [Crops(images.take(rows), crops.features[:, rows]) for rows in sides]
    names, owners = np.unique(parts[0].images.identities, return_inverse=True)
    units, new = make_units(parts[0], owners), make_units(parts[1])
    owners, wanted = owners[units.first], parts[1].images.identities[new.first]
    cameras = np.where(units.tracked, UNKNOWN, parts[0].images.cameras[units.first])
    threshold = choose_threshold(run_trials(units.vectors, owners, cameras, budget))
    place = np.searchsorted(names, wanted).clip(max=len(names) - 1)
    return Drawn(units, owners, new, np.where(names[place] == wanted, place, UNKNOWN), threshold)


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    height, width = options.size
    settings = {"data.height": height, "data.width": width, "model.weights": options.weights}
    config = presets.resolve("demo", "train-cam", presets.as_texts(settings))
    network = initial_network(config, initial_weights(config.model, SILENT), SILENT)
    model = Model(network, config, Runtime(torch.device("cpu"), SILENT, workers=1), {})
    path = env.data_dir(options.data_dir) / options.data / FILE_NAME
    images = Manifest.load(path).split(Split.TRAIN)
    crops = extract_crops(model, replace(images, tracks=None) if options.untracked else images)
    rows, budget = [], model.distance_budget
    for seed in range(options.draws):
        drawn = draw(crops, seed, budget)
        limit = drawn.threshold
        promised = limit.precision or 0, limit.recall or 0
        steps = np.linspace(0.5, 1.2, 29) * limit.distance
        best = max((drawn.outcome(float(step), budget) for step in steps), key=lambda o: o[2])
        rows.append((*drawn.outcome(limit.distance, budget), *promised, *best))
    line = "automatic: {:.2f} {:.2f} {:.2f} | promised: {:.2f} {:.2f} | best: {:.2f} {:.2f} {:.2f}"
    print(line.format(*np.mean(rows, 0)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="name of the prepared data set")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", default="synthetic")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 48), help="height and width")
    parser.add_argument("--untracked", action="store_true", help="single images, without tracks")
    parser.add_argument("--draws", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
