"""Images that stand in a data set more than once, and names that only letter case keeps apart.

Copies are files of the same bytes, known by the digests of a checked manifest. The same picture in
train and in query or gallery is leakage: the scores would flatter.
"""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass

from pplr_cli.data.manifest import UNKNOWN, Image, Manifest, Split
from pplr_cli.files import portable


@dataclass(frozen=True)
class Copies:
    """What is there more than once.

    Attributes:
        further: images beyond the first of each picture.
        leaked: pairs of a training image and a query or gallery image of the same bytes.
        contradicting: pairs of images of the same bytes under different identities.
    """

    further: int
    leaked: tuple[tuple[Image, Image], ...]
    contradicting: tuple[tuple[Image, Image], ...]


def find_copies(manifest: Manifest) -> Copies:
    """Find the images of the same bytes; those without a recorded digest are passed over."""
    groups: defaultdict[str, list[Image]] = defaultdict(list)
    for image in manifest.images:
        if image.path in manifest.contents:
            groups[manifest.contents[image.path]].append(image)
    alike = [group for group in groups.values() if len(group) > 1]
    return Copies(
        sum(len(group) - 1 for group in alike),
        tuple(pair for group in alike if (pair := _leak(group))),
        tuple(pair for group in alike if (pair := _contradiction(group))),
    )


def _leak(group: list[Image]) -> tuple[Image, Image] | None:
    """Return the first training image and the first other one, if there are both."""
    train = next((image for image in group if image.split == Split.TRAIN), None)
    other = next((image for image in group if image.split != Split.TRAIN), None)
    return (train, other) if train and other else None


def _contradiction(group: list[Image]) -> tuple[Image, Image] | None:
    """Return the first image with an identity and the first with another, if there are both."""
    named = [image for image in group if image.identity != UNKNOWN]
    other = next((image for image in named if image.identity != named[0].identity), None)
    return (named[0], other) if other else None


def find_collisions(paths: list[str]) -> list[tuple[str, str]]:
    """Return pairs of paths that are one on disks that do not tell upper and lower case apart."""
    first: dict[str, str] = {}
    pairs = []
    for path in dict.fromkeys(paths):
        key = unicodedata.normalize("NFC", portable(path)).casefold()
        if first.setdefault(key, path) != path:
            pairs.append((first[key], path))
    return pairs
