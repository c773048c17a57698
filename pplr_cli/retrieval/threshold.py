"""Choose the distance up to which a crop gets the identity of its nearest known crop.

Each known crop (or track) is tried twice among the others: once as one of a known identity, and
once as a stranger, without the other crops of its identity. A trial accepts the nearest other crop
if it is within the threshold; that is right in the first trial if it has the same identity. Single
crops of the same identity and camera do not count, as they can be frames of one track.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.images import UNKNOWN
from pplr_cli.errors import UsageError
from pplr_cli.retrieval.distance import row_blocks, squared_distances

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Trials(NamedTuple):
    """The nearest other crops of N known crops; infinite where there is none."""

    same: Floats  # distance to the nearest crop of the same identity by another camera, float64 [N]
    other: Floats  # distance to the nearest crop of another identity, float64 [N]

    @property
    def known(self) -> int:
        """Number of crops whose identity has another crop."""
        return int(np.isfinite(self.same).sum())


class Threshold(NamedTuple):
    """A distance, and how the trials end with it."""

    distance: float  # the threshold
    precision: float | None  # right among the accepted trials, 0 to 1; None if none is accepted
    # right among the crops whose identity has another crop, 0 to 1; None without any
    recall: float | None
    trials: int  # number of these crops

    @property
    def separates(self) -> bool:
        """Whether at least half of what it accepts is right, as far as this is known."""
        return self.precision is None or self.precision >= 0.5


def run_trials(features: Tensor, identities: Ints, cameras: Ints, budget: int) -> Trials:
    """Find the nearest crops of the same and of other identities.

    Args:
        features: float32 [N, D], L2-normalised.
        identities: int64 [N].
        cameras: int64 [N], `UNKNOWN` where there is none.
        budget: bytes that a block of distances may take.
    """
    people, places = (torch.from_numpy(a).to(features.device) for a in (identities, cameras))
    everyone = torch.arange(len(features), device=features.device)
    nearest = []
    for rows in row_blocks(len(features), len(features), budget // 4):
        squared = squared_distances(features[rows], features).clamp_(min=0)
        same = people[rows, None] == people
        here = (places[rows, None] == places) & (places != UNKNOWN)
        mate = same & ~here & (everyone[rows, None] != everyone)
        found = [squared.masked_fill(~kept, torch.inf).amin(1) for kept in (mate, ~same)]
        nearest.append(torch.stack(found).sqrt().double().cpu().numpy())
    return Trials(*np.concatenate(nearest, 1))


def choose_threshold(trials: Trials) -> Threshold:
    """Return the threshold with the largest F-score (harmonic mean of precision and recall).

    It is midway between the last right distance and the next distance of a trial.

    Raises:
        UsageError: no identity has two crops (by different cameras).
    """
    same, other = trials
    right = np.sort(same[same < other])
    if len(right) == 0:
        raise UsageError(
            "no threshold can be chosen: no known identity has two crops that are nearest to each "
            "other (by different cameras, where these are known)",
            "name it with --max-distance",
        )
    accepted = sum(np.searchsorted(np.sort(each), right, "right") for each in _tried(trials))
    score = 2 * np.arange(1, len(right) + 1) / (accepted + trials.known)
    distance = right[np.argmax(score)]
    later = np.concatenate(_tried(trials))
    distance = (distance + later[later > distance].min(initial=np.inf)) / 2
    return rate(trials, float(distance) if np.isfinite(distance) else float(right[-1]))


def rate(trials: Trials, distance: float) -> Threshold:
    """Return how the trials end with a threshold."""
    right = int(((trials.same < trials.other) & (trials.same <= distance)).sum())
    accepted = sum(int((each <= distance).sum()) for each in _tried(trials))
    precision = right / accepted if accepted else None
    recall = right / trials.known if trials.known else None
    return Threshold(distance, precision, recall, trials.known)


def _tried(trials: Trials) -> tuple[Floats, Floats]:
    """Return the distance that decides each trial: as a known identity, and as a stranger."""
    as_known = np.minimum(*trials)[np.isfinite(trials.same)]
    return as_known, trials.other
