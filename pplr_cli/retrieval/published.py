"""The retrieval figures of the paper (Cho et al., CVPR 2022)."""

from typing import NamedTuple

from pplr_cli.config.fields import Mode
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.ingest.counts import count_splits


class Figures(NamedTuple):
    """Mean average precision and matching rates in percent, without re-ranking."""

    mAP: float  # noqa: N815
    rank1: float
    rank5: float
    rank10: float


RANKS = (1, 5, 10)
"""The ranks that the paper and this package report."""
LABEL = "paper, as reported"
"""The name of these figures in tables: not all of them were reproduced here."""

FIGURES: dict[str, dict[Mode, Figures]] = {
    "market": {
        "train": Figures(81.5, 92.8, 97.1, 98.1),
        "train-cam": Figures(84.4, 94.3, 97.8, 98.6),
    },
    "msmt17": {
        "train": Figures(31.4, 61.1, 73.4, 77.8),
        "train-cam": Figures(42.2, 73.3, 83.5, 86.5),
    },
    "veri": {
        "train": Figures(41.6, 85.6, 91.1, 93.4),
        "train-cam": Figures(43.5, 88.3, 92.7, 94.4),
    },
}
"""By layout of the data set and mode; ResNet-50 initialised from ImageNet."""


def figures_for(manifest: Manifest) -> dict[Mode, Figures]:
    """Return the figures that scores on a data set may be compared with, by mode.

    None unless query and gallery have the published numbers of images and identities.
    """
    tested = [count for count in count_splits(manifest) if count.split != Split.TRAIN]
    complete = len(tested) == 2 and not any(count.differences() for count in tested)
    return FIGURES.get(manifest.layout, {}) if complete else {}
