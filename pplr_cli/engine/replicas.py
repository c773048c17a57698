"""BatchNorm over replicas: reproduces four-GPU `DataParallel` training on one device.

The official release trains under `DataParallel` on four GPUs: every BatchNorm normalises its own
quarter of the batch, and only the first quarter moves the running statistics. Here that is a
property of the network, not of the hardware.

One definition, computed in one of three ways (`Form`):

- `chunks`: PyTorch's BatchNorm once for each replica. Fastest on a CPU.
- `grouped`: all replicas in one set of plain tensor operations, which `torch.compile` fuses.
- `fused`: all replicas in six Triton kernels (CUDA only).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Form = Literal["chunks", "grouped", "fused"]


class _ReplicaBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm that, in training, normalises `replicas` consecutive chunks of a batch separately.

    Same parameters, buffers and state dict as PyTorch's BatchNorm. With one replica, and in
    evaluation, it is PyTorch's BatchNorm.
    """

    replicas = 1
    form: Form = "chunks"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name torch uses
        """Normalise [B, C, ...]; only the first chunk updates the running statistics."""
        if not self.training or self.replicas == 1:
            return super().forward(input)
        if self.form == "grouped":
            return self._grouped(input)
        if self.form == "fused" and input.is_cuda and input.dtype != torch.float64:
            from pplr_cli.engine.norm_kernels import fused_norm

            return fused_norm(self, input, self.replicas)
        first, *others = input.chunk(self.replicas)
        outputs = [super().forward(first)]
        outputs += [
            F.batch_norm(chunk, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for chunk in others
        ]
        return torch.cat(outputs)

    def _grouped(self, batch: Tensor) -> Tensor:
        """Normalise with statistics of shape [R, C], in float32 at least; no chunk is copied."""
        wide = batch if batch.dtype == torch.float64 else batch.float()
        groups = wide.unflatten(0, (self.replicas, -1))
        summed = [dim for dim in range(groups.dim()) if dim not in (0, 2)]
        var, mean = torch.var_mean(groups, summed, correction=0)
        output = (wide - _spread(mean, batch)) * _spread((var + self.eps).rsqrt(), batch)
        output = output * _spread(self.weight[None], batch) + _spread(self.bias[None], batch)
        self._update_running(mean[0], var[0], groups[0, :, 0].numel())
        return output.to(batch.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics towards those of the first replica, of `count` values."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(var.detach() * (count / (count - 1)), self.momentum)
        self.num_batches_tracked.add_(1)


class ReplicaBatchNorm1d(_ReplicaBatchNorm, nn.BatchNorm1d):
    """BatchNorm over [B, C] by replicas."""


class ReplicaBatchNorm2d(_ReplicaBatchNorm, nn.BatchNorm2d):
    """BatchNorm over [B, C, H, W] by replicas."""


def set_replicas(network: nn.Module, replicas: int, form: Form = "chunks") -> None:
    """Make every BatchNorm in `network` treat a batch as `replicas` chunks, computed as `form`."""
    for module in network.modules():
        if isinstance(module, _ReplicaBatchNorm):
            module.replicas, module.form = replicas, form


def _spread(values: Tensor, batch: Tensor) -> Tensor:
    """Give each image of [B, C, ...] its replica's values out of [R or 1, C]."""
    each = values.repeat_interleave(len(batch) // len(values), 0) if len(values) > 1 else values
    return each.view(*each.shape, *[1] * (batch.dim() - 2))
