"""The relevance relation of re-identification: which gallery images count for a query.

An image of the same identity by another camera is a match. One by the same camera is left out of
the ranking, as in the Market-1501 protocol, and so is a copy of the query: a file of the same
content, which every network finds. All other images are distractors.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


class Lists(NamedTuple):
    """A list of gallery images for each of Q queries, in compressed rows."""

    begin: Ids  # int64 [Q + 1], where each query's images begin in `images`
    images: Ids  # int64, positions in the gallery

    @classmethod
    def from_pairs(cls, queries: Ids, images: Ids, count: int) -> "Lists":
        """Build the lists of `count` queries from pairs, sorted by query."""
        return cls(np.searchsorted(queries, np.arange(count + 1)), images)

    def pairs(self, first: int, count: int) -> tuple[Ids, Ids]:
        """Return the pairs of `count` queries, which are counted from number `first` on."""
        begin = self.begin[first : first + count + 1]
        return np.repeat(np.arange(count), np.diff(begin)), self.images[begin[0] : begin[-1]]


class Relevance(NamedTuple):
    """The gallery images that count for each of Q queries, and those that do not."""

    matches: Lists  # images of the query's identity, by other cameras unless all count
    left_out: Lists  # images that are left out of the query's ranking
    shape: tuple[int, int]  # (Q, G)
    copies: int = 0  # pairs that are left out only because they are copies


def find_relevance(
    query_ids: Ids,
    gallery_ids: Ids,
    query_cams: Ids,
    gallery_cams: Ids,
    query_contents: Sequence[str] = (),
    gallery_contents: Sequence[str] = (),
    *,
    same_camera: bool = True,
    places: Ids | None = None,
    groups: Ids | None = None,
) -> Relevance:
    """Relate queries to gallery images by identity, camera and content.

    Args:
        query_ids: int64 [Q] identities.
        gallery_ids: int64 [G].
        query_cams: int64 [Q] cameras.
        gallery_cams: int64 [G].
        query_contents: Q digests of the files, "" if unknown; or none.
        gallery_contents: G digests, likewise.
        same_camera: leave out images of the same identity and camera; otherwise they match.
        places: int64 [Q], positions of the queries in the gallery, which are left out; or none.
        groups: int64 [Q], numbers from 0: images of one number, which share an identity and a
            camera, are one query.

    Raises:
        ValueError: the lengths of identities and cameras differ.
    """
    shape = (len(query_ids), len(gallery_ids))
    check_shape((len(query_cams), len(gallery_cams)), shape)
    queries, images = _equal_pairs(query_ids, gallery_ids)
    junk = same_camera & (query_cams[queries] == gallery_cams[images])
    of, count = (np.arange(shape[0]), shape[0]) if groups is None else (groups, groups.max() + 1)

    def numbers(queries: Ids, images: Ids) -> Ids:
        """Return pairs of queries and images as sorted numbers, each once."""
        return np.unique(of[queries] * shape[1] + images)

    def lists(pairs: Ids) -> Lists:
        return Lists.from_pairs(*np.divmod(pairs, max(shape[1], 1)), count)

    ignored = numbers(queries[junk], images[junk])
    if places is not None:
        ignored = np.union1d(ignored, numbers(np.arange(shape[0]), places))
    copies = np.setdiff1d(numbers(*_copies(query_contents, gallery_contents, shape)), ignored)
    matches = np.setdiff1d(numbers(queries[~junk], images[~junk]), np.union1d(ignored, copies))
    return Relevance(
        lists(matches), lists(np.union1d(ignored, copies)), (count, shape[1]), len(copies)
    )


def check_shape(found: tuple[int, ...], expected: tuple[int, int]) -> None:
    """Raise `ValueError` if two shapes differ: compiled loops do not check their bounds."""
    if found != expected:
        raise ValueError(f"{found} is not {expected[0]} queries, {expected[1]} gallery images")


def _copies(
    query: Sequence[str], gallery: Sequence[str], shape: tuple[int, int]
) -> tuple[Ids, Ids]:
    """Return the pairs of one known content."""
    if (len(query), len(gallery)) != shape:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    digests = np.array(query), np.array(gallery)
    known = [np.flatnonzero(each != "") for each in digests]
    pairs = _equal_pairs(*(each[rows] for each, rows in zip(digests, known, strict=True)))
    queries, images = (rows[found] for rows, found in zip(known, pairs, strict=True))
    return queries, images


def _equal_pairs(query: NDArray[Any], gallery: NDArray[Any]) -> tuple[Ids, Ids]:
    """Return all positions (q, g) of equal values, sorted by q, then g."""
    order = np.argsort(gallery, kind="stable")
    begin = np.searchsorted(gallery, query, "left", sorter=order)
    counts = np.searchsorted(gallery, query, "right", sorter=order) - begin
    queries = np.repeat(np.arange(len(query)), counts)
    within = np.arange(len(queries)) - np.repeat(counts.cumsum() - counts, counts)
    return queries, order[begin[queries] + within]
