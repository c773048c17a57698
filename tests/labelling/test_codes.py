"""The bounds of 8-bit codes against all distances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.labelling.codes import NEVER, RUN, encode


def spread(count: int, size: int, seed: int, power: float, length: float) -> torch.Tensor:
    """Return features whose values have heavy tails if `power` is large."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, size))
    return torch.from_numpy(length * np.sign(values) * np.abs(values) ** power).float()


@given(
    count=st.integers(1, 150),
    size=st.integers(1, 40),
    seed=st.integers(0, 999),
    power=st.sampled_from([0.0, 1.0, 3.0, 9.0]),
    length=st.sampled_from([1e-6, 1.0, 1e6, 1e12]),
    common=st.sampled_from([0.0, 10.0]),
)
@settings(max_examples=60)
def test_no_near_pair_is_ruled_out(
    count: int, size: int, seed: int, power: float, length: float, common: float
) -> None:
    vectors = spread(count, size, seed, power, length) + common * length
    squares = vectors.square().sum(1)
    codes = encode(vectors, squares)
    values, wide = codes.values[:count].numpy().astype(np.int64), vectors.double().numpy()
    distances = ((wide[:, None] - wide) ** 2).sum(2)
    bounds = codes.bounds[:count].astype(np.int64)
    assert (values @ values.T >= bounds[:, None] + bounds - distances * codes.unit).all()
    assert len(codes.values) % RUN == 0
    assert (codes.bounds[count:] == NEVER).all()


@pytest.mark.parametrize("common", [0.0, 3.0])
def test_most_pairs_are_ruled_out(common: float) -> None:
    """Also where the features have much in common, as those of an untrained network have."""
    vectors = torch.nn.functional.normalize(spread(2000, 256, 0, 1.0, 1.0) + common)
    codes = encode(vectors, vectors.square().sum(1))
    values = codes.values[:2000].int()
    bounds = torch.from_numpy(codes.bounds[:2000])
    distances = torch.cdist(vectors.double(), vectors.double()).square()
    limit = distances.flatten().kthvalue(6000).values  # of 4,000,000
    passed = values @ values.T - bounds >= bounds[:, None] - codes.unit * limit
    assert 6000 <= passed.sum() < 3 * 6000
