import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.retrieval.rerank import K1, K2, WEIGHT, reranked_blocks


def slow_rerank(query, gallery):
    """Return the re-ranked distances [Q, G] from dense matrices of all pairs."""
    features = np.concatenate((query, gallery)).astype(np.float64)
    images = range(len(features))
    plain = np.array([[((a - b) ** 2).sum() for b in features] for a in features]) ** 2
    plain = plain / plain.max(axis=1, keepdims=True)
    ranks = np.argsort(plain, axis=1, kind="stable")

    def mutual(i, columns):
        return {j for j in ranks[i, :columns] if i in ranks[j, :columns]}

    encoding = np.zeros_like(plain)
    for i in images:
        close = mutual(i, K1 + 1)
        expanded = set(close)
        for candidate in close:
            others = mutual(candidate, round(K1 / 2) + 1)
            if len(others & close) > 2 / 3 * len(others):
                expanded |= others
        members = sorted(expanded)
        encoding[i, members] = np.exp(-plain[i, members])
        encoding[i] /= encoding[i].sum()
    encoding = np.array([encoding[ranks[i, :K2]].mean(axis=0) for i in images])
    shared = np.array([np.minimum(encoding[i], encoding).sum(axis=1) for i in images])
    mixed = (1 - WEIGHT) * (1 - shared / (2 - shared)) + WEIGHT * plain
    return mixed[: len(query), len(query) :]


def clustered(rng, images, clusters, size=6):
    centres = rng.standard_normal((clusters, size))
    features = centres[rng.integers(0, clusters, images)] + 0.4 * rng.standard_normal(
        (images, size)
    )
    return torch.nn.functional.normalize(torch.from_numpy(features).float())


@settings(max_examples=25)
@given(
    queries=st.integers(1, 15),
    gallery=st.integers(1, 60),
    clusters=st.integers(1, 8),
    rows=st.integers(1, 20),
    seed=st.integers(0),
)
def test_equals_the_slow_version_whatever_the_blocks(queries, gallery, clusters, rows, seed):
    features = clustered(np.random.default_rng(seed), queries + gallery, clusters)
    query, images = features[:queries], features[queries:]
    blocks = list(reranked_blocks(query, images, budget=4 * len(features) * rows))
    expected = slow_rerank(query.numpy(), images.numpy())
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-4)


def test_golden(golden_dir):
    with np.load(golden_dir / "evaluation.npz") as arrays:
        query, gallery = (torch.from_numpy(arrays[f"{p}_features"]) for p in ("query", "gallery"))
        expected = arrays["reranked"]
    distances = np.concatenate(list(reranked_blocks(query, gallery)))
    np.testing.assert_allclose(distances, expected, atol=1e-4)


def test_a_duplicate_is_the_nearest():
    features = clustered(np.random.default_rng(0), 30, 5).repeat(2, 1)
    distances = np.concatenate(list(reranked_blocks(features[:30], features[30:])))
    assert (distances.diagonal() <= distances.min(axis=1) + 1e-3).all()


@pytest.mark.parametrize("images", [1, 5])
def test_more_duplicates_than_neighbours_have_finite_distances(images):
    features = clustered(np.random.default_rng(0), images, 5).repeat(60, 1)
    distances = np.concatenate(list(reranked_blocks(features[:10], features[10:])))
    assert np.isfinite(distances).all()
