"""An epoch: while it is under way, and what it did once it is over."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pplr_cli.engine.centroids import Proxies
from pplr_cli.engine.labels import PseudoLabels


@dataclass
class EpochState:
    """An epoch under way.

    Attributes:
        pseudo: the pseudo-labels it trains on.
        proxies: the camera proxies; None without camera losses.
        losses: the losses of each step done, detached.
        seconds: time of each stage so far.
        looked: steps whose losses are known to be finite.
    """

    pseudo: PseudoLabels
    proxies: Proxies | None
    losses: list[dict[str, Tensor]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
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
        seconds: time of each stage.
    """

    number: int
    pseudo: PseudoLabels | None = None
    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
