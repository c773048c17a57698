"""The symmetric search against all distances, over tiles that cut the images anyhow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.labelling import cpu_search
from tests.labelling.sharing import searched, shared


def search(vectors: torch.Tensor, k: int, tile: int, threads: int = 2) -> np.ndarray:
    return searched(cpu_search.symmetric_search, vectors, k, tile, threads)


@given(
    count=st.integers(1, 50),
    levels=st.integers(1, 4),
    tile=st.integers(1, 60),
    threads=st.integers(1, 3),
    seed=st.integers(0, 999),
    data=st.data(),
)
@settings(max_examples=60)
def test_nearest_first_and_ties_by_index(
    count: int, levels: int, tile: int, threads: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.one_of(st.just(count), st.integers(1, count)))
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, levels, (count, 3)).astype(np.float32)  # exact: many ties, duplicates
    distances = ((vectors[:, None] - vectors) ** 2).sum(2)
    expected = distances.argsort(axis=1, kind="stable")[:, :k]
    assert search(torch.from_numpy(vectors), k, tile, threads).tolist() == expected.tolist()


@pytest.mark.parametrize("count", [2 * cpu_search.TILE, 2 * cpu_search.TILE + 37])
def test_full_tiles_and_a_remainder(count: int) -> None:
    vectors = torch.nn.functional.normalize(
        torch.randn(count, 8, generator=torch.Generator().manual_seed(count))
    )
    found = search(vectors, 9, cpu_search.TILE)
    rows = torch.arange(0, count, 97)
    distances = torch.cdist(vectors[rows].double(), vectors.double()).square()
    expected = distances.topk(9, largest=False, sorted=True).values
    at_found = distances.gather(1, torch.from_numpy(found[rows]).long())
    torch.testing.assert_close(at_found, expected, atol=1e-6, rtol=0)


def test_the_number_of_threads_changes_nothing() -> None:
    vectors = torch.randint(-3, 4, (300, 5), generator=torch.Generator().manual_seed(0)).float()
    one, three = (search(vectors, 20, 64, threads) for threads in (1, 3))
    assert (one == three).all()


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("k", [1, 20, 70])
def test_several_processes_find_what_one_finds(
    size: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_search, "TILE", 16)
    vectors = torch.randint(-3, 4, (70, 3), generator=torch.Generator().manual_seed(0)).float()
    given = (vectors, vectors.square().sum(1), k)
    one = cpu_search.symmetric_search(*given)
    found, *others = shared(size, lambda processes: cpu_search.symmetric_search(*given, processes))
    assert found.tobytes() == one.tobytes()
    assert {other.shape for other in others} == {(0, k)}
