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
        watch: gets the time of each call, as `train_network`, `train_losses` and `train_update`.
    """
    watch = watch or Stopwatch()
    with watch.timing("train_network"):
        output = _forward(network, images, method.clusters, runtime)
    with watch.timing("train_losses"):
        losses = method.losses(output, targets, epoch)
    with watch.timing("train_update"):
        _update(network, optimizer, losses["loss_total"], runtime)
    return {name: value.detach() for name, value in losses.items()}


def _forward(network: Network, images: Tensor, clusters: int, runtime: Runtime) -> Output:
    """Return the network's output for all B images."""
    with runtime.autocast():
        own = network(images, clusters)
    return Output(*(runtime.processes.whole_batch(tensor) for tensor in own))


def _update(
    network: Network, optimizer: torch.optim.Optimizer, loss: Tensor, runtime: Runtime
) -> None:
    """Replace the gradients by those of `loss` and take a step along them."""
    optimizer.zero_grad()
    loss.backward()
    runtime.processes.sum_gradients(network.parameters())
    optimizer.step()
