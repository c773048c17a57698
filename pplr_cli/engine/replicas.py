"""BatchNorm over replicas: why one device gives the published numbers.

The official release trains under `DataParallel` on four GPUs, so every BatchNorm normalises over
its own quarter of the batch and only the first quarter moves the running statistics. Here that
is a property of the network, not of the hardware.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _ReplicaBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm that, in training, treats `replicas` consecutive chunks of the batch apart.

    Same parameters, buffers and state dict as PyTorch's BatchNorm. With one replica, and in
    evaluation, it is PyTorch's BatchNorm.
    """

    replicas = 1

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name torch uses
        """Normalise [B, C, ...]; the running statistics follow the first chunk alone."""
        if not self.training or self.replicas == 1:
            return super().forward(input)
        first, *others = input.chunk(self.replicas)
        outputs = [super().forward(first)]
        outputs += [
            F.batch_norm(chunk, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for chunk in others
        ]
        return torch.cat(outputs)


class ReplicaBatchNorm1d(_ReplicaBatchNorm, nn.BatchNorm1d):
    """BatchNorm over [B, C] by replicas."""


class ReplicaBatchNorm2d(_ReplicaBatchNorm, nn.BatchNorm2d):
    """BatchNorm over [B, C, H, W] by replicas."""


def set_replicas(network: nn.Module, replicas: int) -> None:
    """Cut the batches of every BatchNorm in `network` into `replicas` chunks from now on."""
    for module in network.modules():
        if isinstance(module, _ReplicaBatchNorm):
            module.replicas = replicas
