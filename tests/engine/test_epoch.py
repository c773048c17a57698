"""The state of an epoch in progress."""

import numpy as np
import pytest
import torch

from pplr_cli.engine.epoch import EpochState
from pplr_cli.labelling.pseudo_labels import PseudoLabels

PSEUDO = PseudoLabels(np.array([0, 1]), np.ones((2, 3), np.float32))


def test_losses_are_the_means_over_the_steps() -> None:
    losses = [{"loss_total": torch.tensor(v), "loss_part": torch.tensor(2 * v)} for v in (1.0, 4.0)]
    epoch = EpochState(PSEUDO, losses=losses)
    assert epoch.steps == 2
    assert epoch.mean_losses() == {"loss_total": 2.5, "loss_part": 5.0}


def test_a_new_epoch_shares_nothing_with_another() -> None:
    one, other = EpochState(PSEUDO), EpochState(PSEUDO)
    one.losses.append({})
    with one.watch.timing("train"):
        pass
    assert (other.steps, other.watch.seconds, other.checked) == (0, {}, 0)
    with pytest.raises(IndexError):
        other.mean_losses()
