"""Checks whether query and gallery images can be evaluated, and what their scores will be worth.

A query's matches are the gallery images of its identity by other cameras, except copies of its own
file. A query without match is not scored.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.layouts import FOLDER
from pplr_cli.text import named

LABELS = "evaluation needs query images with identity and camera, and gallery images with camera"


class Concern(NamedTuple):
    """A warning about a data set, and what to do about it."""

    message: str
    hint: str | None = None


def check_test_part(manifest: Manifest) -> Iterator[Concern]:
    """Yield the warnings about query and gallery, if there are any.

    Raises:
        DataError: own data whose query and gallery cannot be evaluated.
    """
    train, query, gallery = (
        [image for image in manifest.images if image.split == split] for split in Split
    )
    if not (query or gallery):
        return
    own = manifest.layout == FOLDER
    if own:
        _check_labels(manifest, query, gallery)
    unmatched = _unmatched(manifest, query, gallery)
    if own and len(unmatched) == len(query):
        raise _nothing_to_score(manifest, {image.camera for image in (*query, *gallery)})
    if unmatched:
        people = {image.identity for image in query}
        text = (
            f"queries without a gallery image of their identity by another camera: "
            f"{len(unmatched):,} of {len(query):,}"
        )
        if lost := people - {image.identity for image in {*query} - {*unmatched}}:
            text += f"; identities without any match: {_share(manifest, lost, people)}"
        yield Concern(text, "they are not scored; check their identities and cameras")
    if not own:
        return
    bare = sum(image.identity == UNKNOWN for image in gallery)
    if bare:
        yield Concern(
            f"gallery images without identity: {bare:,} of {len(gallery):,}; they count as wrong "
            "for every query",
            "label those that show a query's identity, or leave them out",
        )
    known = {image.identity for image in (*query, *gallery)} - {UNKNOWN}
    if both := known & {image.identity for image in train}:
        share = _share(manifest, both, known)
        yield Concern(
            f"identities both in train and in query or gallery: {share}",
            "keep all images of an identity in one part: scores on trained identities are too high",
        )


def _check_labels(manifest: Manifest, query: list[Image], gallery: list[Image]) -> None:
    """Refuse own data with half a test part, or one without the labels that it needs."""
    for split, images, other in (("query", query, "gallery"), ("gallery", gallery, "query")):
        if not images:
            raise DataError(f"`{manifest.root}`: {other} images, but no {split} images", LABELS)
        if unseen := [image.path for image in images if image.camera == UNKNOWN]:
            what = f"{split} images without camera: {named(unseen)}"
            raise DataError(f"`{manifest.root}`: {what}", LABELS)
    if unknown := [image.path for image in query if image.identity == UNKNOWN]:
        what = f"query images without identity: {named(unknown)}"
        raise DataError(f"`{manifest.root}`: {what}", LABELS)


def _unmatched(manifest: Manifest, query: list[Image], gallery: list[Image]) -> list[Image]:
    """Return the queries without match."""
    content = manifest.contents.get
    seen: defaultdict[int, set[tuple[int, str | None]]] = defaultdict(set)
    for image in gallery:
        seen[image.identity].add((image.camera, content(image.path)))
    return [
        image
        for image in query
        if not any(
            (camera == UNKNOWN or camera != image.camera)
            and (digest is None or digest != content(image.path))
            for camera, digest in seen[image.identity]
        )
    ]


def _nothing_to_score(manifest: Manifest, cameras: set[int]) -> DataError:
    what = f"`{manifest.root}`: no query has a gallery image of its identity by another camera"
    if len(cameras) > 1:
        return DataError(what, "check identities and cameras")
    return DataError(
        f"{what}: all test images are from camera `{manifest.names.camera(cameras.pop())}`",
        "matches by the same camera do not count: give each place or day its own camera, or "
        "leave out `split` to train without scores",
    )


def _share(manifest: Manifest, some: set[int], everyone: set[int]) -> str:
    """Return how many of the identities, and the first names."""
    names = named([manifest.names.identity(identity) for identity in sorted(some)], 3)
    return f"{len(some):,} of {len(everyone):,} ({names})"
