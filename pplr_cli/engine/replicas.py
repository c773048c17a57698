"""BatchNorm over replicas: reproduces four-GPU `DataParallel` training on one device.

The official release trains under `DataParallel` on four GPUs: every BatchNorm normalises its own
quarter of the batch, and only the first quarter moves the running statistics. Here that is a
property of the network, not of the hardware.

One definition, computed in one of three ways (`Form`):

- `chunks`: PyTorch's BatchNorm once for each replica. Fastest on a CPU.
- `grouped`: all replicas in one set of plain tensor operations, which `torch.compile` fuses.
- `fused`: all replicas in six Triton kernels (CUDA only).
"""

from collections.abc import Sequence
from typing import Any, Literal

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
        output, mean, var = GroupedNorm.apply(
            batch, self.weight, self.bias, self.replicas, self.eps
        )
        count = batch.numel() // (self.replicas * batch.shape[1])
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean[0], self.momentum)
            self.running_var.lerp_(var[0] * (count / (count - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        normalised: Tensor = output
        return normalised


class ReplicaBatchNorm1d(_ReplicaBatchNorm, nn.BatchNorm1d):
    """BatchNorm over [B, C] by replicas."""


class ReplicaBatchNorm2d(_ReplicaBatchNorm, nn.BatchNorm2d):
    """BatchNorm over [B, C, H, W] by replicas."""


def set_replicas(network: nn.Module, replicas: int, form: Form = "chunks") -> None:
    """Make every BatchNorm in `network` treat a batch as `replicas` chunks, computed as `form`."""
    for module in network.modules():
        if isinstance(module, _ReplicaBatchNorm):
            module.replicas, module.form = replicas, form


class GroupedNorm(torch.autograd.Function):
    """Normalise R chunks of a batch at once, with statistics of shape [R, C] in float32 or wider.

    Sums run over the batch as [R, B / R, C, ...], a view: no chunk is copied, and the gradient of
    the input takes one expression instead of R slices that are added up.
    """

    @staticmethod
    def forward(
        ctx: Any, batch: Tensor, weight: Tensor, bias: Tensor, replicas: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalised batch, and mean and biased variance of each replica, [R, C]."""
        wide = _wide(batch, replicas)
        dims = _reduced(wide)
        var, mean = torch.var_mean(wide, dims, correction=0)
        rstd = (var + eps).rsqrt()
        scale = _spread(weight * rstd, wide)
        output = (wide - _spread(mean, wide)) * scale + _spread(bias[None], wide)
        ctx.save_for_backward(batch, weight, mean, rstd)
        ctx.mark_non_differentiable(mean, var)
        return output.to(batch.dtype).flatten(0, 1), mean, var

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of batch, weight and bias."""
        batch, weight, mean, rstd = ctx.saved_tensors
        replicas = len(mean)
        gradient, wide = (_wide(tensor, replicas) for tensor in (gradients[0], batch))
        dims = _reduced(wide)
        normal = (wide - _spread(mean, wide)) * _spread(rstd, wide)
        sums, products = gradient.sum(dims), (gradient * normal).sum(dims)
        count = wide.numel() // mean.numel()
        centred = gradient - (_spread(sums, wide) + normal * _spread(products, wide)) / count
        own = (centred * _spread(weight * rstd, wide)).to(batch.dtype).flatten(0, 1)
        return own, products.sum(0), sums.sum(0), None, None


def _wide(batch: Tensor, replicas: int) -> Tensor:
    """View [B, C, ...] as [R, B / R, C, ...], in float32 at least."""
    grouped = batch.unflatten(0, (replicas, -1))
    return grouped if grouped.dtype == torch.float64 else grouped.float()


def _reduced(wide: Tensor) -> Sequence[int]:
    """Return the dimensions that the statistics of [R, B / R, C, ...] sum over."""
    return [dim for dim in range(wide.dim()) if dim not in (0, 2)]


def _spread(values: Tensor, wide: Tensor) -> Tensor:
    """Shape statistics [R or 1, C] so that they broadcast over [R, B / R, C, ...]."""
    return values.view(len(values), 1, -1, *[1] * (wide.dim() - 3))
