"""Which images are compared in an evaluation, and which of them count."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import UNKNOWN, ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError
from pplr_cli.retrieval.queries import Groups, group_images
from pplr_cli.retrieval.relevance import Relevance, find_relevance

SameCamera = Literal["ignore", "keep"]


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation; the defaults are those of Market-1501.

    Gallery images without identity are distractors: they are ranked and match no query.
    """

    # `ignore` leaves images of the query's identity and camera out of its ranking; `keep` counts
    # them as matches, and needs no cameras
    same_camera: SameCamera = "ignore"
    # each gallery image with an identity (without a gallery: each training image) is a query
    # against the others
    leave_one_out: bool = False
    as_one: Literal["track"] | None = None  # `track` makes the query images of a track one query


class Comparison(NamedTuple):
    """Query and gallery images of an evaluation."""

    query: ImageSet  # images with identities
    gallery: ImageSet  # images
    # position of each query image in the gallery, int64, if it is part of it
    places: NDArray[np.int64] | None
    groups: Groups  # the query images that are one query
    relevance: Relevance  # of the queries


def compare(manifest: Manifest, protocol: Protocol) -> Comparison:
    """Return what an evaluation of a data set compares.

    Raises:
        DataError: the data set has no such images.
        UsageError: tracks are wanted, but the query images have none.
    """
    query, gallery = manifest.split(Split.QUERY), manifest.split(Split.GALLERY)
    places = None
    if protocol.leave_one_out:
        gallery = gallery if len(gallery) else manifest.split(Split.TRAIN)
        places = np.flatnonzero(gallery.identities != UNKNOWN)
        query = gallery.take(places)
    _check(manifest, protocol, query, gallery)
    groups = group_images(query, protocol.as_one, apart=query.identities)
    columns = ("identities", "cameras", "contents")
    relevance = find_relevance(
        *(getattr(images, name) for name in columns for images in (query, gallery)),
        same_camera=protocol.same_camera == "ignore",
        places=places,
        groups=groups.of,
    )
    return Comparison(query, gallery, places, groups, relevance)


def _check(manifest: Manifest, protocol: Protocol, query: ImageSet, gallery: ImageSet) -> None:
    """Raise `DataError` unless all query images have labels, and some gallery images."""
    labelled = gallery.take(np.flatnonzero(gallery.identities != UNKNOWN))
    if not (query.has_identities and len(labelled)):
        what = "images" if protocol.leave_one_out else "query and gallery images"
        hint = "evaluation needs labels; training does not"
        if not protocol.leave_one_out and manifest.split().has_identities:
            hint = "`--leave-one-out` compares each image with all others"
        raise DataError(f"data set `{manifest.name}` has no {what} with identities", hint)
    if protocol.same_camera == "ignore" and not (query.has_cameras and labelled.has_cameras):
        raise DataError(
            f"data set `{manifest.name}` has query or gallery images without camera",
            "`--same-camera keep` evaluates without cameras",
        )
