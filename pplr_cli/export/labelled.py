"""The distance threshold of a network, from labelled images of a data set."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import UNKNOWN, ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import UsageError
from pplr_cli.retrieval.crops import extract_crops
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.threshold import Threshold, choose_threshold, run_trials

MOST = 512
"""Images that are embedded, about: the network runs on the CPU."""
NO_DATA = "the data set is not prepared on this machine"
NO_LABELS = "the data set has no identities with several images"


Source = Literal["query and gallery", "training images"]


class Labelled(NamedTuple):
    """A threshold, and the images that it was chosen on."""

    threshold: Threshold  # the distance with the largest F-score, its precision and recall
    images: int  # their number
    identities: int  # their number
    source: Source  # which ones


def find_threshold(model: Model, manifest: Manifest) -> Labelled | None:
    """Choose the threshold on images that were not trained on, else on the training images.

    Returns None where no identity has two images (by different cameras, where these are known).
    """
    everyone = manifest.split()
    training = np.array([image.split == Split.TRAIN for image in manifest.images])
    sources: tuple[tuple[Source, NDArray[np.bool_]], ...] = (
        ("query and gallery", ~training),
        ("training images", training),
    )
    for source, rows in sources:
        images = some_identities(everyone.take(np.flatnonzero(rows)), MOST)
        if len(images) == 0:
            continue
        features = extract_crops(model, images).features[0]
        trials = run_trials(features, images.identities, images.cameras, model.distance_budget)
        try:
            found = choose_threshold(trials)
        except UsageError:
            continue
        return Labelled(found, len(images), len(np.unique(images.identities)), source)
    return None


def some_identities(images: ImageSet, most: int) -> ImageSet:
    """Return the images of evenly spaced identities: at most `most` on average, at least two."""
    people = np.unique(images.identities[images.identities != UNKNOWN])
    labelled = int((images.identities != UNKNOWN).sum())
    step = min(max(1, -(-labelled // most)), max(1, len(people) // 2))
    return images.take(np.flatnonzero(np.isin(images.identities, people[::step])))
