"""All that a trainer needs to go on exactly where it stood, as tensors and plain values.

Batches and augmentation are functions of (seed, epoch, step), so that no random state is kept;
pseudo-labels and proxies are, since the features that gave them are gone.
"""

from collections.abc import Mapping
from typing import Any

import torch

from pplr_cli.engine.epoch import EpochState
from pplr_cli.engine.optim import grow_classifiers
from pplr_cli.engine.prototypes import Proxies
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import TrainingError
from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.timing import Stopwatch


def trainer_state(trainer: Trainer) -> dict[str, Any]:
    """Return the state between two steps.

    Raises:
        TrainingError: a loss or a weight is not finite; such a state must not be kept.
    """
    current = trainer.current
    if current is not None:
        trainer.look(current)
    check_finite(trainer)
    return {
        "epoch": trainer.epoch,
        "classes": trainer.network.classes,
        "network": trainer.network.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "current": None if current is None else _epoch_state(current),
    }


def check_finite(trainer: Trainer) -> None:
    """Refuse weights that are not finite; `TrainingError` names the first."""
    for name, tensor in trainer.network.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise TrainingError(
                f"epoch {trainer.epoch + 1}: `{name}` holds NaN or infinite values",
                "lower `optim.lr`, or use --precision fp32; the weights saved before are whole",
            )


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Bring a trainer with the same settings to a state of `trainer_state`."""
    trainer.epoch = state["epoch"]
    grow_classifiers(trainer.network, trainer.optimizer, state["classes"])
    trainer.network.load_state_dict(state["network"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    current = state["current"]
    trainer.current = None if current is None else _restored(current, trainer.device)


def _epoch_state(current: EpochState) -> dict[str, Any]:
    names = list(current.losses[0]) if current.losses else []
    return {
        "pseudo": {name: torch.from_numpy(v) for name, v in current.pseudo.arrays().items()},
        "proxies": None if current.proxies is None else tuple(current.proxies),
        "loss_names": names,
        "steps": torch.stack([torch.stack([s[n] for n in names]) for s in current.losses])
        if names
        else torch.empty(0),
        "seconds": current.watch.seconds,
    }


def _restored(state: Mapping[str, Any], device: torch.device) -> EpochState:
    arrays = {name: tensor.numpy() for name, tensor in state["pseudo"].items()}
    proxies = state["proxies"]
    if proxies is not None:
        proxies = Proxies(*(tensor.to(device) for tensor in proxies))
    names, steps = state["loss_names"], state["steps"].to(device)
    losses = [dict(zip(names, step.unbind(), strict=True)) for step in steps]
    watch = Stopwatch(state["seconds"])
    return EpochState(PseudoLabels.of(arrays), proxies, watch, losses, looked=len(losses))
