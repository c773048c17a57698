"""GeM against its formula, image by image and channel by channel."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.config.fields import Model
from pplr_cli.engine.network import Network, stripe_means
from pplr_cli.engine.pooling import SMALLEST, START, GeM
from pplr_cli.weights.fitting import fit_network
from pplr_cli.weights.loading import read_state_dict


@pytest.mark.parametrize("p", [1.0, START, 6.5])
def test_each_value_is_the_generalized_mean(p: float) -> None:
    pooling, grid = GeM(), torch.randn(2, 5, 4, 3)
    torch.nn.init.constant_(pooling.p, p)
    expected = np.empty((2, 5))
    for image in range(2):
        for channel in range(5):
            values = [max(float(x), SMALLEST) for x in grid[image, channel].flatten()]
            expected[image, channel] = (sum(x**p for x in values) / len(values)) ** (1 / p)
    np.testing.assert_allclose(pooling(grid).detach(), expected, rtol=1e-5)


def test_exponent_is_learned_and_never_below_the_average() -> None:
    pooling, grid = GeM(), torch.rand(2, 3, 4, 4)
    pooling(grid).sum().backward()
    assert pooling.p.grad is not None
    assert pooling.p.grad != 0
    torch.nn.init.constant_(pooling.p, -2.0)
    torch.testing.assert_close(pooling(grid), grid.mean((2, 3)))


def test_only_the_global_feature_changes(tmp_path: Path) -> None:
    plain = Network.of(Model(backbone="tiny", weights="random", classes=4)).eval()
    gem = Network.of(Model(backbone="tiny", weights="random", classes=4, pooling="gem")).eval()
    assert set(gem.state_dict()) - set(plain.state_dict()) == {"pooling.p"}
    gem.load_state_dict(plain.state_dict() | {"pooling.p": torch.tensor(4.0)})
    images = torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        grid = gem.base.map(images)
        assert torch.equal(gem.embed(images)[1:], plain.embed(images)[1:])
        first = torch.nn.functional.normalize(gem.bnneck(gem.pooling(grid)))
        torch.testing.assert_close(gem.embed(images)[0], first)
    assert len(stripe_means(grid, 3)) == 3
    torch.save(gem.state_dict(), tmp_path / "gem.pth")
    other = Network("tiny", classes=4, gem=True)
    assert fit_network(read_state_dict(tmp_path / "gem.pth"), other) == ()
    assert other.pooling.p.item() == 4
