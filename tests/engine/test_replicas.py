"""BatchNorm by replicas against one plain BatchNorm for each chunk."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pplr_cli.engine.replicas import (
    Form,
    ReplicaBatchNorm1d,
    ReplicaBatchNorm2d,
    set_replicas,
)

ROOT = Path(__file__).parents[2]


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


SHAPES = [(8, 5), (8, 5, 7, 6), (16, 130, 9, 5), (64, 256, 24, 8)]


def computed(norm: nn.Module, batch: torch.Tensor, slope: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the output, all gradients and the buffers after one pass."""
    given = batch.clone().requires_grad_()
    output = norm(given)
    assert output.stride() == batch.stride()
    output.backward(slope)
    assert given.grad is not None
    gradients = {f"{name} gradient": p.grad for name, p in norm.named_parameters()}
    return {"output": output.detach(), "gradient": given.grad, **gradients, **norm.state_dict()}


def forms(
    shape: tuple[int, ...], replicas: int, form: Form, device: torch.device, dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return what a form computes, and what one BatchNorm for each chunk does."""
    torch.manual_seed(0)
    kind = ReplicaBatchNorm1d if len(shape) == 2 else ReplicaBatchNorm2d
    plain = kind(shape[1]).to(device)
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    other = copy.deepcopy(plain)
    set_replicas(plain, replicas, "chunks")
    set_replicas(other, replicas, form)
    batch, slope = 3 * torch.randn(shape) + 5, torch.randn(shape)
    if len(shape) == 4:
        batch = batch.contiguous(memory_format=torch.channels_last)
        slope = slope.contiguous(memory_format=torch.channels_last)
    if dtype == torch.float64:
        plain, other = plain.double(), other.double()
    given = (batch.to(device, dtype), slope.to(device, dtype))
    return computed(other, *given), computed(plain, *given)


def test_the_form_follows_the_device() -> None:
    norm = ReplicaBatchNorm1d(3)
    set_replicas(norm, 4)
    assert (norm.replicas, norm.form) == (4, "chunks")
    set_replicas(norm, 4, "fused")
    assert norm.form == "fused"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("replicas", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_fused_form_computes_the_same_on_a_gpu(
    shape: tuple[int, ...], replicas: int, dtype: torch.dtype
) -> None:
    found, expected = forms(shape, replicas, "fused", torch.device("cuda", 0), dtype)
    scale = {torch.float32: 1e-4, torch.bfloat16: 3e-2}[dtype]
    for name, value in expected.items():
        error = (found[name].double() - value.double()).norm() / value.double().norm().clamp(1)
        assert error < scale, name


INTERPRETED = """
import torch
from tests.engine.test_replicas import SHAPES, forms
from pplr_cli.engine import fused_norm, replicas

class Norm(replicas._ReplicaBatchNorm):
    def forward(self, input):
        if self.form == "fused":
            return fused_norm.fused_norm(self, input, self.replicas)
        return super().forward(input)

for shape in SHAPES[:3]:
    import tests.engine.test_replicas as own
    own.ReplicaBatchNorm1d = type("Norm1d", (Norm, torch.nn.BatchNorm1d), {})
    own.ReplicaBatchNorm2d = type("Norm2d", (Norm, torch.nn.BatchNorm2d), {})
    found, expected = forms(shape, 2, "fused", torch.device("cpu"), torch.float32)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
"""


def test_the_kernels_of_the_fused_form_compute_the_same_interpreted() -> None:
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_evaluation_uses_the_running_statistics() -> None:
    norm = ReplicaBatchNorm1d(3)
    set_replicas(norm, 2)
    batch = torch.randn(4, 3)
    torch.testing.assert_close(norm.eval()(batch), batch / (1 + norm.eps) ** 0.5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_computes_replicas_in_the_fused_form() -> None:
    norm = ReplicaBatchNorm2d(8).cuda()
    set_replicas(norm, 4)
    assert norm.form == "fused"
    set_replicas(norm, 1)
    assert norm.form == "chunks"
