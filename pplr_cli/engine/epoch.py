"""An epoch: while it is under way, and what it did once it is over."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pplr_cli.engine.prototypes import Proxies
from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.timing import Stopwatch


@dataclass
class EpochState:
    """An epoch under way.

    Attributes:
        pseudo: the pseudo-labels it trains on.
        proxies: the camera proxies; None without camera losses.
        watch: time of each stage so far, and of its parts as `<stage>_<part>`.
        losses: the losses of each step done, detached.
        looked: steps whose losses are known to be finite.
    """

    pseudo: PseudoLabels
    proxies: Proxies | None
    watch: Stopwatch = field(default_factory=Stopwatch)
    losses: list[dict[str, Tensor]] = field(default_factory=list)
    looked: int = 0

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.losses)

    def mean_losses(self) -> dict[str, float]:
        """Return the mean of each loss over the steps done."""
        names = self.losses[0]
        return {n: torch.stack([step[n] for step in self.losses]).mean().item() for n in names}


@dataclass(frozen=True)
class Epoch:
    """What one epoch did.

    Attributes:
        number: epochs done, counted from 1; 0 = the network before training.
        pseudo: the pseudo-labels it trained on; None before training.
        losses: mean of each loss over the steps.
        rate: learning rate.
        seconds: time of each stage, and of its parts as `<stage>_<part>`.
    """

    number: int
    pseudo: PseudoLabels | None = None
    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
