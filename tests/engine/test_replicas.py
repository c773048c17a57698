"""BatchNorm by replicas against one plain BatchNorm for each chunk."""

import copy

import pytest
import torch
from torch import nn

from pplr_cli.engine.replicas import ReplicaBatchNorm1d, ReplicaBatchNorm2d, set_replicas


@pytest.mark.parametrize("replicas", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 3, 2)])
def test_each_chunk_is_normalised_by_itself(replicas: int, shape: tuple[int, ...]) -> None:
    norm = ReplicaBatchNorm1d(5) if len(shape) == 2 else ReplicaBatchNorm2d(5)
    nn.init.normal_(norm.weight)
    plain = [nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5) for _ in range(replicas)]
    for module in plain:
        module.load_state_dict(copy.deepcopy(norm.state_dict()))
    set_replicas(norm, replicas)
    images = torch.randn(shape, requires_grad=True)
    expected = torch.cat([m(c) for m, c in zip(plain, images.chunk(replicas), strict=True)])
    actual = norm(images)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(norm.state_dict(), plain[0].state_dict())
    weight = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad((actual * weight).sum(), images)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), images)
    torch.testing.assert_close(gradient, expected_gradient)


def test_evaluation_uses_the_running_statistics() -> None:
    norm = ReplicaBatchNorm1d(3)
    set_replicas(norm, 2)
    batch = torch.randn(4, 3)
    torch.testing.assert_close(norm.eval()(batch), batch / (1 + norm.eps) ** 0.5)
