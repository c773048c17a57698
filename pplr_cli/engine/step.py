"""One training step, shared by the trainer, the golden test and the benchmarks."""

import torch
from torch import Tensor

from pplr_cli.engine.network import Network, Output
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch


def train_step(
    network: Network,
    optimizer: torch.optim.Optimizer,
    method: PPLR,
    images: Tensor,
    targets: Targets,
    epoch: int,
    runtime: Runtime,
    watch: Stopwatch | None = None,
) -> dict[str, Tensor]:
    """Take one optimisation step on a batch of B images; return its losses, detached.

    Several processes share a batch: each passes its own images, the losses are those of all B
    images, and the gradients are summed. No part of the step waits for the GPU.

    Args:
        network: in training mode.
        optimizer: over the parameters of `network`.
        method: gives the number of clusters and the losses.
        images: normalised float32 [B / processes, 3, H, W].
        targets: of all B images.
        epoch: counted from 0.
        runtime: the precision of the forward pass, and the processes.
        watch: gets the time as `train_network`, `train_losses` and `train_update`.
    """
    watch = watch or Stopwatch()
    optimizer.zero_grad()
    losses = compute_gradients(network, method, images, targets, epoch, runtime, watch)
    with watch.timing("train_update"):
        runtime.processes.sum_gradients(network.parameters())
        optimizer.step()
    return losses


def compute_gradients(
    network: Network,
    method: PPLR,
    images: Tensor,
    targets: Targets,
    epoch: int,
    runtime: Runtime,
    watch: Stopwatch,
) -> dict[str, Tensor]:
    """Add the gradients of a batch to the parameters; return its losses, detached."""
    with watch.timing("train_network"), runtime.autocast():
        own = network(images, method.clusters)
    with watch.timing("train_losses"):
        output = Output(*(runtime.processes.whole_batch(tensor) for tensor in own))
        losses = method.losses(output, targets, epoch)
    with watch.timing("train_update"):
        losses["loss_total"].backward()
    return {name: value.detach() for name, value in losses.items()}
