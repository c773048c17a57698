import numpy as np
import pytest

from benchmarks.ablation import quality, settings_of


def test_quality_counts_pairs():
    rng = np.random.default_rng(0)
    labels, identities = rng.integers(-1, 6, 200), rng.integers(0, 8, 200)
    one, other = np.triu_indices(200, 1)
    joined = (labels[one] == labels[other]) & (labels[one] != -1)
    same = identities[one] == identities[other]
    found = quality(labels, identities)
    assert found.precision == pytest.approx((joined & same).sum() / joined.sum(), abs=1e-3)
    assert found.recall == pytest.approx((joined & same).sum() / same.sum(), abs=1e-3)


def test_switches_are_joined():
    both = settings_of("camera_jaccard+gem")
    assert both == {"clustering.distance": "camera_jaccard", "model.pooling": "gem"}
