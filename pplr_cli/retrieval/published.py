"""The retrieval figures of the paper (Cho et al., CVPR 2022), for comparison beside ours."""

from typing import NamedTuple

from pplr_cli.config.fields import Mode


class Figures(NamedTuple):
    """Mean average precision and matching rates in percent, without re-ranking."""

    mAP: float  # noqa: N815
    rank1: float
    rank5: float
    rank10: float


RANKS = (1, 5, 10)
"""The ranks whose matching rates the paper reports, and so do we."""
LABEL = "paper, as reported"
"""How these figures are named wherever they stand: not all could be checked."""

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
"""By layout of the data set and mode; ResNet-50 that starts from ImageNet."""
