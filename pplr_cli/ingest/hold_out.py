"""Make a test part of own data: some identities become query and gallery."""

import hashlib
from collections import defaultdict

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError

Cameras = dict[int, list[int]]
"""The images of an identity by camera, as indices."""


def hold_out(images: list[Image], names: Names, share: float, where: str) -> list[Image]:
    """Move about a share of the identities from train to query and gallery.

    The name of an identity decides, so that it stays in its part when the data grow. Eligible are
    identities with images in two cameras or more, all known. Each camera with at least two images
    gives its first one as a query (if none has two, the first camera does); the rest is gallery.

    Args:
        images: all of them in train.
        names: of the identities.
        share: of the identities, from 0 to 1.
        where: the folder, for messages.

    Raises:
        DataError: there is a test part already, or none can be made.
    """
    if any(image.split != Split.TRAIN for image in images):
        raise DataError(f"`{where}`: has query or gallery images", "leave out `--test-share`")
    seen: defaultdict[int, Cameras] = defaultdict(lambda: defaultdict(list))
    for index, image in enumerate(images):
        if image.identity != UNKNOWN:
            seen[image.identity][image.camera].append(index)
    splits: dict[int, Split] = {}
    for identity, cameras in seen.items():
        if UNKNOWN in cameras or len(cameras) < 2:
            continue
        if _place(names.identity(identity)) < share:
            splits |= _test_splits(cameras)
    if not splits:
        raise DataError(
            f"`{where}`: no identity for query and gallery",
            "this takes identities with images in two cameras, or a larger `--test-share`",
        )
    return [
        image._replace(split=splits.get(index, image.split)) for index, image in enumerate(images)
    ]


def _place(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def _test_splits(cameras: Cameras) -> dict[int, Split]:
    """Return the split of each image of an identity; every query has a match."""
    ordered = [cameras[camera] for camera in sorted(cameras)]
    queries = {images[0] for images in ordered if len(images) > 1} or {ordered[0][0]}
    return {
        index: Split.QUERY if index in queries else Split.GALLERY
        for images in ordered
        for index in images
    }
