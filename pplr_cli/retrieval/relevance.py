"""The relevance relation of re-identification: which gallery images count for a query.

An image of the same identity by another camera is a match. One by the same camera is left out of
the ranking, as in the Market-1501 protocol. All other images are distractors.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


class Lists(NamedTuple):
    """A list of gallery images for each of Q queries, in compressed rows.

    Attributes:
        begin: int64 [Q + 1], where each query's images begin in `images`.
        images: int64, positions in the gallery.
    """

    begin: Ids
    images: Ids

    @classmethod
    def from_pairs(cls, queries: Ids, images: Ids, count: int) -> "Lists":
        """Build the lists of `count` queries from pairs, sorted by query."""
        return cls(np.searchsorted(queries, np.arange(count + 1)), images)


class Relevance(NamedTuple):
    """The gallery images that count for each of Q queries, and those that do not.

    Attributes:
        matches: images of the query's identity by other cameras.
        left_out: images that are left out of the query's ranking.
        shape: (Q, G).
    """

    matches: Lists
    left_out: Lists
    shape: tuple[int, int]


def find_relevance(
    query_ids: Ids, gallery_ids: Ids, query_cams: Ids, gallery_cams: Ids
) -> Relevance:
    """Relate queries to gallery images by identity and camera.

    Args:
        query_ids: int64 [Q] identities.
        gallery_ids: int64 [G].
        query_cams: int64 [Q] cameras.
        gallery_cams: int64 [G].

    Raises:
        ValueError: the lengths of identities and cameras differ.
    """
    shape = (len(query_ids), len(gallery_ids))
    check_shape((len(query_cams), len(gallery_cams)), shape)
    queries, images = _equal_pairs(query_ids, gallery_ids)
    same_camera = query_cams[queries] == gallery_cams[images]
    matches, left_out = (
        Lists.from_pairs(queries[kept], images[kept], shape[0])
        for kept in (~same_camera, same_camera)
    )
    return Relevance(matches, left_out, shape)


def check_shape(found: tuple[int, ...], expected: tuple[int, int]) -> None:
    """Raise `ValueError` if two shapes differ: compiled loops do not check their bounds."""
    if found != expected:
        raise ValueError(f"{found} is not {expected[0]} queries, {expected[1]} gallery images")


def _equal_pairs(query: Ids, gallery: Ids) -> tuple[Ids, Ids]:
    """Return all positions (q, g) of equal values, sorted by q, then g."""
    order = np.argsort(gallery, kind="stable")
    begin = np.searchsorted(gallery, query, "left", sorter=order)
    counts = np.searchsorted(gallery, query, "right", sorter=order) - begin
    queries = np.repeat(np.arange(len(query)), counts)
    within = np.arange(len(queries)) - np.repeat(counts.cumsum() - counts, counts)
    return queries, order[begin[queries] + within]
