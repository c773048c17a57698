"""The search by 8-bit integers against all distances."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.distributed.processes import Processes
from pplr_cli.labelling import cpu_search, screened_search
from tests.labelling.sharing import searched, shared
from tests.labelling.test_codes import spread

TASKS = Path("/proc/self/task")


def search(vectors: torch.Tensor, k: int, threads: int = 2) -> np.ndarray:
    return searched(screened_search.screened_search, vectors, k, 64, threads)


@given(
    count=st.integers(1, 200),
    levels=st.integers(1, 4),
    threads=st.integers(1, 3),
    seed=st.integers(0, 999),
    data=st.data(),
)
@settings(max_examples=60)
def test_nearest_first_and_ties_by_index(
    count: int, levels: int, threads: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.one_of(st.just(count), st.integers(1, count)))
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, levels, (count, 3)).astype(np.float32)  # exact: many ties, duplicates
    distances = ((vectors[:, None] - vectors) ** 2).sum(2)
    expected = distances.argsort(axis=1, kind="stable")[:, :k]
    assert search(torch.from_numpy(vectors), k, threads).tolist() == expected.tolist()


@pytest.mark.parametrize("power", [1.0, 4.0])
@pytest.mark.parametrize("size", [2, 8, 300])
def test_the_same_distances_as_the_search_in_float32(size: int, power: float) -> None:
    vectors = spread(700, size, size, power, 1.0)
    found = torch.from_numpy(search(vectors, 9)).long()
    distances = torch.cdist(vectors.double(), vectors.double()).square()
    expected = distances.topk(9, largest=False, sorted=True).values
    scale = distances.max().item()
    torch.testing.assert_close(distances.gather(1, found), expected, atol=1e-6 * scale, rtol=0)


def test_the_number_of_threads_changes_nothing() -> None:
    vectors = spread(300, 5, 0, 1.0, 1.0)
    one, three = (search(vectors, 20, threads) for threads in (1, 3))
    assert (one == three).all()


@pytest.mark.parametrize("size", [2, 3, 7])
def test_several_processes_find_what_one_finds(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_search, "TILE", 64)
    vectors = torch.randint(-3, 4, (500, 3), generator=torch.Generator().manual_seed(0)).float()
    given = (vectors, vectors.square().sum(1), 20)
    one = screened_search.screened_search(*given)
    found, *others = shared(size, lambda each: screened_search.screened_search(*given, each))
    assert found.tobytes() == one.tobytes()
    assert {other.shape for other in others} == {(0, 20)}


@pytest.mark.parametrize("other", [0, 1, 2])
def test_a_process_on_another_cpu_may_search_in_float32(
    other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_search, "TILE", 64)
    vectors = torch.randint(-3, 4, (500, 3), generator=torch.Generator().manual_seed(0)).float()
    given = (vectors, vectors.square().sum(1), 20)

    def search_on(process: Processes) -> np.ndarray:
        symmetric = process.rank == other
        search = cpu_search.symmetric_search if symmetric else screened_search.screened_search
        return search(*given, process)

    found, *_ = shared(3, search_on)
    assert found.tolist() == screened_search.screened_search(*given).tolist()


@pytest.mark.skipif(not TASKS.is_dir(), reason="counts threads of Linux")
def test_products_start_no_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    products, most = screened_search._products, 0

    def counted(*given: Any) -> np.ndarray:
        nonlocal most
        found = products(*given)
        most = max(most, len(list(TASKS.iterdir())))
        return found

    vectors = spread(1000, 64, 0, 1.0, 1.0)
    search(vectors, 9, 3)
    before = len(list(TASKS.iterdir()))
    monkeypatch.setattr(screened_search, "_products", counted)
    search(vectors, 9, 3)  # by default OpenMP starts as many threads in each as there are cores
    assert before < most <= before + 3


def test_a_failure_ends_the_other_threads() -> None:
    threads = iter(range(3))
    taken: list[int] = []

    def work() -> None:
        if next(threads) == 1:
            raise MemoryError
        for tile in waiting:
            taken.append(tile)
            time.sleep(0.001)

    waiting, before = iter(range(5000)), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(MemoryError):
            screened_search._in_threads(work, waiting)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert len(taken) < 5000


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e17, 1e18])
@pytest.mark.parametrize("size", [4, 40])
def test_equal_features_of_any_length(value: float, size: int) -> None:
    vectors = torch.full((130, size), value)
    assert search(vectors, 3).tolist() == [[0, 1, 2]] * 130


@pytest.mark.parametrize(
    ("count", "size", "fast"), [(9, 4, False), (10, 4, True), (10, 9, False), (10, 1, False)]
)
def test_it_suits_many_images_of_few_dimensions(
    count: int, size: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screened_search, "MANY", 10)
    monkeypatch.setattr(screened_search, "MOST_DIMENSIONS", 8)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    assert screened_search.suits(torch.empty(count, size)) == fast
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert not screened_search.suits(torch.empty(count, size))


def test_it_suits_no_torch_that_cuts_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    images = torch.empty(1, 4).expand(screened_search.MANY, -1)
    assert screened_search.suits(images)
    cut = lambda a, b: (a.int() @ b.int()).clamp(-(1 << 15), (1 << 15) - 1)  # noqa: E731
    monkeypatch.setattr(torch, "_int_mm", cut)  # as oneDNN does with ONEDNN_MAX_CPU_ISA=AVX2
    assert not screened_search.suits(images)
