"""The result of a label stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.explanation import Explanation

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PseudoLabels:
    """The result of one label stage; training does not use the explanation.

    Attributes:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        agreement: cross agreement of each image and part, float32 [N, P].
        recall: the lowest recall of its neighbour searches; None if all were exact.
        tracks: number of tracks, given or found, that were clustered; None = images were.
    """

    labels: Ints
    agreement: NDArray[np.float32]
    explanation: Explanation | None = None
    recall: float | None = None
    tracks: int | None = None

    @property
    def clusters(self) -> int:
        """C, the number of clusters."""
        return int(self.labels.max(initial=OUTLIER)) + 1

    @property
    def outliers(self) -> int:
        """Number of images in no cluster."""
        return int((self.labels == OUTLIER).sum())

    @property
    def sizes(self) -> Ints:
        """Number of images in each cluster, int64 [C]."""
        return np.bincount(self.labels[self.labels != OUTLIER], minlength=self.clusters)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name, for a file."""
        found: dict[str, NDArray[Any]] = {"labels": self.labels, "agreement": self.agreement}
        numbers = {"recall": self.recall, "tracks": self.tracks}
        found |= {name: np.array(each) for name, each in numbers.items() if each is not None}
        return found | (self.explanation._asdict() if self.explanation is not None else {})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "PseudoLabels":
        """Restore what `arrays` returned."""
        kept = dict(arrays)
        labels, agreement = kept.pop("labels"), kept.pop("agreement")
        recall = float(kept.pop("recall")) if "recall" in kept else None
        tracks = int(kept.pop("tracks")) if "tracks" in kept else None
        return cls(labels, agreement, Explanation(**kept) if kept else None, recall, tracks)
