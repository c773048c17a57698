"""Optimiser and schedule against the official ones; classifiers that grow."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pplr_cli.config.fields import Optim
from pplr_cli.engine.network import Network
from pplr_cli.engine.optim import build_optimizer, grow_classifiers, learning_rate


def test_steps_are_the_official_ones(golden_dir: Path) -> None:
    golden = np.load(golden_dir / "optimizer.npz")
    module = nn.Module()
    module.weight = nn.Parameter(torch.from_numpy(golden["weight"]))
    module.bias = nn.Parameter(torch.from_numpy(golden["frozen_bias"]), requires_grad=False)
    optimizer = build_optimizer(module, Optim())
    for gradient, expected in zip(golden["gradients"], golden["weight_after"], strict=True):
        module.weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        np.testing.assert_allclose(module.weight.detach(), expected, atol=1e-6)
    np.testing.assert_array_equal(module.bias, golden["frozen_bias"])


def test_learning_rate_is_the_official_one(golden_dir: Path) -> None:
    expected = np.load(golden_dir / "optimizer.npz")["learning_rate_by_epoch"]
    rates = [learning_rate(Optim(), epoch) for epoch in range(len(expected))]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def step(network: Network, optimizer: torch.optim.Optimizer, clusters: int) -> None:
    torch.manual_seed(0)
    output = network(torch.randn(4, 3, 32, 16), clusters)
    optimizer.zero_grad()
    (output.global_logits.sum() + output.part_logits.square().sum()).backward()
    optimizer.step()


def test_growing_keeps_the_existing_rows() -> None:
    plain = Network("tiny", parts=2, classes=5)
    grown = copy.deepcopy(plain)
    optimizers = [build_optimizer(n, Optim()) for n in (plain, grown)]
    for network, optimizer in zip((plain, grown), optimizers, strict=True):
        step(network.train(), optimizer, 5)
    grow_classifiers(grown, optimizers[1], 9)
    for network, optimizer in zip((plain, grown), optimizers, strict=True):
        optimizer.param_groups[0]["lr"] = 1e-3
        step(network, optimizer, 5)
    assert grown.classes == 9
    for branch in plain.branches:
        torch.testing.assert_close(grown.head(branch).weight[:5], plain.head(branch).weight)
        assert (grown.head(branch).weight[5:] == 0).all()
    step(grown, optimizers[1], 9)
    assert (grown.head("").weight[5:] != 0).any()


def test_classifiers_never_shrink() -> None:
    network = Network("tiny", classes=5)
    weight = network.head("").weight
    grow_classifiers(network, build_optimizer(network, Optim()), 3)
    assert network.head("").weight is weight
