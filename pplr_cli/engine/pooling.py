"""Global pooling of a map: the average, or the generalized mean (Radenović et al., PAMI 2019)."""

import torch
from torch import Tensor, nn

START = 3.0
SMALLEST = 1e-6
"""Features below it, negative ones included, count as this much."""


class Average(nn.Module):
    """Pool a map [B, D, H, W] to its mean [B, D]."""

    def forward(self, grid: Tensor) -> Tensor:
        """Return the pooled features."""
        return grid.mean((2, 3))


class GeM(nn.Module):
    """Pool a map [B, D, H, W] to (mean of x^p)^(1/p), [B, D], with one learned exponent p >= 1.

    p = 1 is the average, p -> infinity the maximum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(START))

    def forward(self, grid: Tensor) -> Tensor:
        """Return the pooled features, computed in float32."""
        exponent = self.p.float().clamp_min(1)
        powers = grid.float().clamp_min(SMALLEST).pow(exponent)
        return powers.mean((2, 3)).pow(1 / exponent).to(grid.dtype)
