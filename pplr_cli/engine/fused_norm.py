"""BatchNorm over replicas by the kernels of `norm_kernels`, as an autograd function."""

from typing import Any

import torch
import triton
from torch import Tensor, nn

from pplr_cli.engine.norm_kernels import (
    backward_apply,
    backward_finish,
    backward_sums,
    forward_apply,
    forward_finish,
    forward_sums,
)

ROWS, COLUMNS = 32, 64
"""Size of the tile that a program handles at a time."""
PROGRAMS = 1024
"""Programs to aim at in a reduction: some for each multiprocessor of a large GPU."""


def fused_norm(norm: nn.modules.batchnorm._BatchNorm, batch: Tensor, replicas: int) -> Tensor:
    """Normalise [B, C, ...] by replicas; the first one updates the running statistics of `norm`."""
    buffers = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
    output: Tensor = _FusedNorm.apply(
        batch, norm.weight, norm.bias, buffers, replicas, norm.eps, norm.momentum
    )
    return output


class _FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        batch: Tensor,
        weight: Tensor,
        bias: Tensor,
        buffers: tuple[Tensor, Tensor, Tensor],
        replicas: int,
        eps: float,
        momentum: float,
    ) -> Tensor:
        batch = _rows_last(batch)
        shape = _Shape(batch, replicas)
        sums, squares = shape.partial(batch.device), shape.partial(batch.device)
        forward_sums[shape.sum_grid](
            batch, sums, squares, shape.rows, shape.columns, shape.slices, ROWS, COLUMNS
        )
        mean = torch.empty(replicas, shape.columns, device=batch.device)
        rstd = torch.empty_like(mean)
        forward_finish[shape.finish_grid](
            batch, sums, squares, mean, rstd, *buffers,
            shape.rows, shape.columns, shape.slices, eps, momentum, COLUMNS,
        )  # fmt: skip
        output = torch.empty_like(batch)
        forward_apply[shape.apply_grid](
            batch, output, mean, rstd, weight, bias, shape.rows, shape.columns, ROWS, COLUMNS
        )
        ctx.save_for_backward(batch, weight, mean, rstd)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        batch, weight, mean, rstd = ctx.saved_tensors
        replicas = len(mean)
        gradient = _rows_last(gradients[0])
        shape = _Shape(batch, replicas)
        sums, products = shape.partial(batch.device), shape.partial(batch.device)
        backward_sums[shape.sum_grid](
            batch, gradient, mean, rstd, sums, products,
            shape.rows, shape.columns, shape.slices, ROWS, COLUMNS,
        )  # fmt: skip
        total, total_product = torch.empty_like(mean), torch.empty_like(mean)
        weight_gradient, bias_gradient = torch.empty_like(weight), torch.empty_like(weight)
        backward_finish[(shape.tiles,)](
            sums, products, total, total_product, weight_gradient, bias_gradient,
            shape.columns, shape.slices, replicas, COLUMNS,
        )  # fmt: skip
        own = torch.empty_like(batch)
        backward_apply[shape.apply_grid](
            batch, gradient, own, mean, rstd, weight, total, total_product,
            shape.rows, shape.columns, ROWS, COLUMNS,
        )  # fmt: skip
        bias = bias_gradient if ctx.needs_input_grad[2] else None
        return own, weight_gradient, bias, None, None, None, None


class _Shape:
    """The sizes of a batch as the kernels see it, and their grids."""

    def __init__(self, batch: Tensor, replicas: int) -> None:
        self.replicas, self.columns = replicas, batch.shape[1]
        self.rows = batch.numel() // (self.columns * replicas)
        self.tiles = triton.cdiv(self.columns, COLUMNS)
        most = triton.cdiv(self.rows, ROWS)
        self.slices = max(1, min(most, PROGRAMS // (replicas * self.tiles)))
        self.sum_grid = (replicas * self.slices, self.tiles)
        self.finish_grid = (replicas, self.tiles)
        self.apply_grid = (replicas * most, self.tiles)

    def partial(self, device: torch.device) -> Tensor:
        """Return room for the sums of each slice, float32 [R, S, C]."""
        return torch.empty(self.replicas, self.slices, self.columns, device=device)


def _rows_last(batch: Tensor) -> Tensor:
    """Return [B, C, ...] with its channels next to each other in memory."""
    if batch.dim() == 2:
        return batch.contiguous()
    return batch.contiguous(memory_format=torch.channels_last)
