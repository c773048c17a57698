"""The state of an epoch in progress, and the record of a finished one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.timing import Stopwatch


@dataclass
class EpochState:
    """An epoch in progress."""

    pseudo: PseudoLabels  # the pseudo-labels it trains on
    # time of each stage so far, and of its parts as `<stage>_<part>`
    watch: Stopwatch = field(default_factory=Stopwatch)
    # the losses of each step taken, detached
    losses: list[dict[str, Tensor]] = field(default_factory=list)
    checked: int = 0  # number of steps whose losses are known to be finite

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self.losses)

    def mean_losses(self) -> dict[str, float]:
        """Return the mean of each loss over the steps taken."""
        names = self.losses[0]
        return {n: torch.stack([step[n] for step in self.losses]).mean().item() for n in names}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values; the losses as one tensor [steps, L]."""
        names = list(self.losses[0]) if self.losses else []
        rows = [torch.stack([step[name] for name in names]) for step in self.losses]
        return {
            "pseudo": {name: torch.from_numpy(v) for name, v in self.pseudo.arrays().items()},
            "loss_names": names,
            "steps": torch.stack(rows) if rows else torch.empty(0),
            "seconds": self.watch.seconds,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], device: torch.device) -> "EpochState":
        """Restore what `state_dict` returned, with the losses on `device`."""
        pseudo = PseudoLabels.from_arrays({name: t.numpy() for name, t in state["pseudo"].items()})
        names, steps = state["loss_names"], state["steps"].to(device)
        losses = [dict(zip(names, step.unbind(), strict=True)) for step in steps]
        return cls(pseudo, Stopwatch(state["seconds"]), losses, checked=len(losses))


@dataclass(frozen=True)
class Epoch:
    """The record of an epoch, counted from 1; number 0 is the network before training.

    `losses` are means over the steps; `seconds` has the time of each stage, and of its parts as
    `<stage>_<part>`.
    """

    number: int
    pseudo: PseudoLabels | None = None
    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
