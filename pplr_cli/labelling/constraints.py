"""Change a clustering so that it honours what people answered about pairs of images.

"Same" joins the clusters of the two images, or an outlier with the other's cluster. "Different"
divides a cluster: each of its images goes with the answered image that it resembles most. What no
answer separates stays together. Tracks honour answers in `labelling/tracks.py`.
"""

from collections import defaultdict
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pplr_cli.labelling.clustering import OUTLIER

Labels = NDArray[np.int64]
Likeness = dict[tuple[int, int], float]


class Answers(NamedTuple):
    """Pairs of images that show one identity, and pairs that do not."""

    same: Labels  # int64 [S, 2], numbers of images
    different: Labels  # int64 [D, 2]; never two images that `same` connects
    text: str = ""  # the file that they were read from, to keep it

    def of(self, items: Labels) -> "Answers":
        """Return the answers about items (tracks), `items` int64 [N] that of each image."""
        return Answers(items[self.same], items[self.different])


def connected(pairs: Labels, count: int) -> Labels:
    """Return the group of each of `count` items, int64: those that pairs [P, 2] connect."""
    graph = csr_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (count, count))
    groups: Labels = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def constrain(labels: Labels, similarity: csr_array, answers: Answers) -> Labels:
    """Return the labels that honour the answers, 0 to C - 1; `OUTLIER` for a group of one.

    Args:
        labels: cluster of each image, int64 [N]; `OUTLIER` = none.
        similarity: float32 CSR [N, N], 0 where nothing is stored.
        answers: about the N images.
    """
    groups = connected(answers.same, len(labels))
    near, likeness = _nearest_answered(labels, similarity, groups, answers)
    joined = _join(likeness, groups[answers.different], len(labels))
    changed = near != OUTLIER
    found = labels.copy()
    found[changed] = labels.max(initial=OUTLIER) + 1 + joined[near[changed]]
    sizes = np.bincount(found[found != OUTLIER], minlength=1)
    found[changed & (sizes[found] == 1)] = OUTLIER
    kept = found != OUTLIER
    found[kept] = np.unique(found[kept], return_inverse=True)[1]
    return found


def _nearest_answered(
    labels: Labels, similarity: csr_array, groups: Labels, answers: Answers
) -> tuple[Labels, Likeness]:
    """Return the group of the answered image that each image resembles most in its cluster.

    Returns:
        the groups int64 [N], `OUTLIER` in clusters without an answer and for other outliers; and
        the largest similarity of answered images of two groups that share a cluster.
    """
    answered = np.unique(np.concatenate((answers.same, answers.different)))
    near, likeness = np.full(len(labels), OUTLIER), Likeness()
    for cluster in np.unique(labels[answered]):
        known = answered[labels[answered] == cluster]
        near[known] = groups[known]
        if cluster == OUTLIER:
            continue
        similar = similarity[known].toarray()
        others = np.setdiff1d(np.flatnonzero(labels == cluster), known)
        near[others] = groups[known[similar[:, others].argmax(0)]]
        for one, other in combinations(range(len(known)), 2):
            low, high = sorted(groups[known[[one, other]]].tolist())
            alike = float(similar[one, known[other]])
            likeness[low, high] = max(likeness.get((low, high), alike), alike)
    return near, likeness


def _join(likeness: Likeness, apart: Labels, count: int) -> Labels:
    """Return the joined group of each of `count` groups: the most alike first, never two apart."""
    joined = np.arange(count)
    members = {group: {group} for pair in likeness for group in pair}
    enemies: dict[int, set[int]] = defaultdict(set)
    for one, other in apart.tolist():
        enemies[one].add(other)
        enemies[other].add(one)
    for pair in sorted(likeness, key=lambda pair: (-likeness[pair], pair)):
        one, other = (int(joined[group]) for group in pair)
        if one != other and not enemies[one] & members[other]:
            members[one] |= members.pop(other)
            enemies[one] |= enemies.pop(other, set())
            joined[list(members[one])] = one
    return joined
