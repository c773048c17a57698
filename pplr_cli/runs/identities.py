"""Number identities so that numbers keep their meaning from epoch to epoch and run to run.

Cluster numbers are those of one clustering. An identity is continued by the cluster that shares
most images with it; all other clusters are new identities, with numbers never used before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pplr_cli.ingest.known import read_labels_table
from pplr_cli.labelling.clustering import OUTLIER

Labels = NDArray[np.int64]

NO_TABLE = "name a table that `pplr labels` wrote"


@dataclass
class Identities:
    """The last known identity of N images."""

    of: Labels  # int64 [N]; `OUTLIER` = none so far
    used: int = 0  # numbers given so far: new identities begin here

    def match(self, labels: Labels) -> Labels:
        """Return the identity of each image, int64 [N], for the clusters of the next clustering.

        A cluster and an identity that share more than half of the images of the smaller one can
        belong together; pairs are taken by the number of shared images, each at most once.

        Args:
            labels: cluster of each image, int64 [N]; `OUTLIER` stays.
        """
        clustered = labels != OUTLIER
        both = clustered & (self.of != OUTLIER)
        pairs, shared = np.unique(
            np.stack((self.of[both], labels[both])), axis=1, return_counts=True
        )
        largest = max(self.used, int(labels.max(initial=OUTLIER)) + 1)
        sizes = [
            np.bincount(each[each != OUTLIER], minlength=largest) for each in (self.of, labels)
        ]
        smaller = np.minimum(sizes[0][pairs[0]], sizes[1][pairs[1]])
        found: dict[int, int] = {}
        taken: set[int] = set()
        for pair in np.argsort(-shared, kind="stable"):
            identity, cluster = pairs[:, pair].tolist()
            fits = 2 * shared[pair] > smaller[pair]
            if fits and cluster not in found and identity not in taken:
                found[cluster] = identity
                taken.add(identity)
        for cluster in np.unique(labels[clustered]).tolist():
            if cluster not in found:
                found[cluster], self.used = self.used, self.used + 1
        numbers = np.array([found[label] for label in labels[clustered]], dtype=np.int64)
        identities = np.full(len(labels), OUTLIER)
        identities[clustered] = self.of[clustered] = numbers
        return identities


def follow(clusterings: Sequence[Labels]) -> Labels:
    """Return the identities [N] of the last clustering, matched through all before it.

    Args:
        clusterings: labels [N] of the same images, the earliest first; at least one.
    """
    known = Identities(np.full(len(clusterings[0]), OUTLIER))
    return [known.match(labels) for labels in clusterings][-1]


def read_known(table: Path, paths: Sequence[str]) -> Identities:
    """Read the identities of images from a table with `path` and `pseudo_identity`.

    Images that the table does not name have none; other lines are ignored.

    Raises:
        DataError: no such table, or without these columns.
    """
    rows = read_labels_table(table, int, NO_TABLE)
    of = np.array([rows.get(path, OUTLIER) for path in paths], dtype=np.int64)
    return Identities(of, max(rows.values(), default=OUTLIER) + 1)
