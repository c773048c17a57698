"""The relevance relation of re-identification: which gallery images count for a query.

An image of the same identity by another camera is a match. One by the same camera is left out of
the ranking, as in the Market-1501 protocol, and so is a copy of the query: a file of the same
content, which every network finds. All other images are distractors.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Ids = NDArray[np.int64]


class Relevance(NamedTuple):
    """The gallery images that count for each of Q queries, and those that do not: bool [Q, G]."""

    matches: csr_array  # images of the query's identity, by other cameras unless all count
    left_out: csr_array  # images that are left out of the query's ranking
    copies: int = 0  # pairs that are left out only because they are copies

    @property
    def shape(self) -> tuple[int, int]:
        """Number of queries and of gallery images."""
        queries, images = self.matches.shape
        return queries, images


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

    def matrix(queries: Ids, images: Ids) -> csr_array:
        """Return pairs as bool [count, G]."""
        ones = np.ones(len(queries), np.bool_)
        return csr_array((ones, (of[queries], images)), shape=(count, shape[1]))

    left_out = matrix(queries[junk], images[junk])
    if places is not None:
        left_out += matrix(np.arange(shape[0]), places)
    copies = matrix(*_copies(query_contents, gallery_contents, shape)) > left_out
    left_out += copies
    return Relevance(matrix(queries[~junk], images[~junk]) > left_out, left_out, copies.nnz)


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
