"""BatchNorm over replicas: reproduces four-GPU `DataParallel` training on one device.

The official release trains under `DataParallel` on four GPUs: every BatchNorm normalises its own
quarter of the batch, and only the first quarter moves the running statistics. Here that is a
property of the network, not of the hardware.

One definition, computed in one of two ways (`Form`):

- `chunks`: PyTorch's BatchNorm once for each replica.
- `fused`: all replicas in six Triton kernels (CUDA only).
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Form = Literal["chunks", "fused"]


class _ReplicaBatchNorm(_BatchNorm):
    """BatchNorm that, in training, normalises `replicas` consecutive chunks of a batch separately.

    Same parameters, buffers and state dict as PyTorch's BatchNorm. With one replica, and in
    evaluation, it is PyTorch's BatchNorm.
    """

    replicas = 1
    form: Form = "chunks"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name torch uses
        """Normalise [B, C, ...]; only the first chunk updates the running statistics."""
        if self.training and self.form == "fused":
            from pplr_cli.engine.fused_norm import fused_norm

            return fused_norm(self, input, self.replicas)
        if not self.training or self.replicas == 1:
            return super().forward(input)
        first, *others = input.chunk(self.replicas)
        outputs = [super().forward(first)]
        self.track_running_stats = False
        outputs += [super(_ReplicaBatchNorm, self).forward(chunk) for chunk in others]
        self.track_running_stats = True
        return torch.cat(outputs)


class ReplicaBatchNorm1d(_ReplicaBatchNorm, nn.BatchNorm1d):
    """BatchNorm over [B, C] by replicas."""


class ReplicaBatchNorm2d(_ReplicaBatchNorm, nn.BatchNorm2d):
    """BatchNorm over [B, C, H, W] by replicas."""


def over_replicas(network: nn.Module) -> None:
    """Turn every BatchNorm in a network of another package into one over replicas.

    Values and names of the state dict stay. A BatchNorm that also applies an activation keeps it.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, _ReplicaBatchNorm):
            kind = type(module)
            plain = {nn.BatchNorm1d: ReplicaBatchNorm1d, nn.BatchNorm2d: ReplicaBatchNorm2d}
            other = type(f"Replica{kind.__name__}", (_ReplicaBatchNorm, kind), {})
            module.__class__ = plain.get(kind, other)


def has_replicas(network: nn.Module) -> bool:
    """Return whether a network contains a BatchNorm, which replicas concern."""
    return any(isinstance(module, _ReplicaBatchNorm) for module in network.modules())


def set_replicas(network: nn.Module, replicas: int, form: Form | None = None) -> None:
    """Make every BatchNorm in `network` treat a batch as `replicas` chunks.

    The network must be on the device that it is trained on: the default form is `fused` on a GPU
    where that is possible, else `chunks`.
    """
    for module in network.modules():
        if isinstance(module, _ReplicaBatchNorm):
            module.replicas, module.form = replicas, form or _best_form(module, replicas)


def _best_form(norm: _ReplicaBatchNorm, replicas: int) -> Form:
    """Return the faster form on the device of a BatchNorm."""
    weight = norm.weight
    plain = isinstance(norm, ReplicaBatchNorm1d | ReplicaBatchNorm2d)
    if replicas == 1 or not plain or not weight.is_cuda or weight.dtype != torch.float32:
        return "chunks"
    return "fused" if _triton_works(weight.device) else "chunks"


@cache
def _triton_works(device: torch.device) -> bool:
    """Return whether Triton is installed and can compile for a GPU: it needs a C compiler too."""
    try:
        from pplr_cli.engine.fused_norm import fused_norm

        with torch.no_grad():
            fused_norm(nn.BatchNorm1d(4, device=device), torch.ones(4, 4, device=device), 2)
    except Exception:  # a missing package, compiler or driver: each raises its own
        return False
    return True
