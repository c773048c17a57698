"""Adam, its learning-rate schedule, and classifiers that grow during training."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pplr_cli.config.fields import Optim
from pplr_cli.engine.network import Network


def build_optimizer(network: nn.Module, settings: Optim) -> torch.optim.Adam:
    """Return Adam (L2 in the gradient) over the trainable parameters of `network`."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(
        parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    )


def learning_rate(settings: Optim, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    return settings.lr * settings.lr_factor ** (epoch // settings.lr_step)


def grow_classifiers(network: Network, optimizer: torch.optim.Optimizer, classes: int) -> None:
    """Extend every classifier to at least `classes` rows, with zero optimiser state for new rows.

    The caller sets the new rows. (The official code fails beyond its 3,000 rows.)
    """
    for branch in network.branches:
        head = network.head(branch)
        missing = classes - head.out_features
        if missing <= 0:
            continue
        old = head.weight
        head.weight = nn.Parameter(F.pad(old.detach(), (0, 0, 0, missing)))
        head.out_features = classes
        _replace(optimizer, old, head.weight, missing)


def _replace(optimizer: torch.optim.Optimizer, old: Tensor, new: Tensor, missing: int) -> None:
    """Replace the parameter `old` by `new` in the optimiser, its state included."""
    for group in optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
    state = optimizer.state.pop(old, None)
    if state is not None:
        optimizer.state[new] = {
            key: F.pad(value, (0, 0, 0, missing)) if value.shape == old.shape else value
            for key, value in state.items()
        }
