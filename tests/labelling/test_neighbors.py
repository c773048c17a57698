"""Exact search on every path, with ties and duplicates."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import dense
from pplr_cli.distributed.processes import Processes
from pplr_cli.errors import DataError
from pplr_cli.labelling import cpu_search, neighbors, screened_search
from tests.labelling.sharing import shared


def features(count: int, size: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, size, generator=generator))


@pytest.mark.parametrize(
    "search",
    [cpu_search.symmetric_search, screened_search.screened_search, neighbors.torch_search],
)
@given(count=st.integers(1, 60), size=st.integers(2, 20), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=25)
def test_finds_the_nearest(
    search: neighbors.Search, count: int, size: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, count))
    vectors = features(count, size, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "search_for", lambda features: search)
        patch.setattr(neighbors, "BLOCK_BYTES", 4 * count * 7)
        patch.setattr(cpu_search, "TILE", 64 if search is screened_search.screened_search else 9)
        found = neighbors.nearest(vectors, k)
    distances = dense.squared_distances(vectors.numpy(), vectors.numpy())
    expected = np.sort(distances, axis=1)[:, :k]
    assert found.shape == (count, k)
    assert (found[:, 0] == np.arange(count)).all()
    np.testing.assert_allclose(np.take_along_axis(distances, found, 1), expected, atol=1e-5)


@given(copies=st.integers(2, 12), k=st.integers(1, 8))
def test_a_duplicate_never_pushes_an_image_from_its_own_list(copies: int, k: int) -> None:
    vectors = torch.cat((features(1, 4, 0).repeat(copies, 1), features(8, 4, 1)))
    found = neighbors.nearest(vectors, k)
    assert (found[:, 0] == np.arange(len(vectors))).all()
    assert all(len(set(row)) == k for row in found)
    among_copies = min(copies, k)
    assert (found[:copies, :among_copies] < copies).all()


def test_itself_first_keeps_the_order_of_the_others() -> None:
    ranks = np.array([[2, 0, 1], [0, 2, 3], [2, 1, 0], [3, 0, 1]], np.int32)
    expected = [[0, 2, 1], [1, 0, 2], [2, 1, 0], [3, 0, 1]]
    assert neighbors.itself_first(ranks).tolist() == expected


@given(
    count=st.integers(1, 60),
    levels=st.integers(1, 5),
    cameras=st.integers(1, 4),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=30)
def test_one_pass_finds_the_nearest_of_each_camera_and_of_all(
    count: int, levels: int, cameras: int, seed: int, data: st.DataObject
) -> None:
    """Exact distances with many ties and duplicates, over tiles that cut the images anyhow."""
    k = data.draw(st.integers(1, count))
    rng = np.random.default_rng(seed)
    seen = rng.integers(0, cameras, count)
    vectors = torch.from_numpy(rng.integers(0, levels, (count, 4)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_search, "TILE", 9)
        found = neighbors.nearest_by_camera(vectors, seen, k)
        assert found.ranks.tolist() == neighbors.nearest(vectors, k).tolist()
    distances = dense.squared_distances(vectors.numpy(), vectors.numpy())
    distances[np.diag_indices(count)] = -1
    same = seen[:, None] == seen
    for lists, kind in ((found.own, same), (found.others, ~same)):
        order = np.where(kind, distances, np.inf).argsort(axis=1, kind="stable")[:, :k]
        expected = np.where(np.take_along_axis(kind, order, 1), order, -1)
        assert lists.tolist() == expected.tolist()


@given(
    count=st.integers(1, 60),
    cameras=st.integers(1, 5),
    seed=st.integers(0, 99),
    processes=st.integers(1, 3),
    data=st.data(),
)
@settings(max_examples=30)
def test_the_nearest_of_the_own_camera(
    count: int, cameras: int, seed: int, processes: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, count))
    rng = np.random.default_rng(seed)
    seen = rng.integers(-1, cameras, count)
    vectors = torch.from_numpy(rng.integers(0, 3, (count, 4)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_search, "TILE", 9)
        expected = neighbors.nearest_by_camera(vectors, seen, k).own
        search = partial(neighbors.nearest_of_own_camera, vectors, seen, k)
        found, *others = shared(processes, search)
    assert found.dtype == np.int32
    assert found.tolist() == expected.tolist()
    assert all(other.shape == (0, k) for other in others)


def test_the_search_of_a_gpu_finds_the_same_of_each_camera() -> None:
    vectors, seen = features(50, 8, 0), np.arange(50) % 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "BLOCK_BYTES", 4 * 50 * 7)
        squares = vectors.square().sum(1)
        found = neighbors.torch_camera_search(vectors, squares, 20, seen)
    expected = cpu_search.camera_search(vectors, squares, 20, seen)
    assert found.tolist() == expected.tolist()


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"3 images are too few .* 4 neighbours"):
        neighbors.nearest(features(3, 4, 0), 4)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e19, -3e38])
def test_features_that_are_not_finite_are_refused(value: float) -> None:
    vectors = features(5, 4, 0)
    vectors[2, 1] = value
    with pytest.raises(DataError, match="NaN"):
        neighbors.nearest(vectors, 2)


def test_one_image_is_its_own_neighbour() -> None:
    assert neighbors.nearest(features(1, 4, 0), 1).tolist() == [[0]]


def test_half_precision_features_are_searched_in_float32() -> None:
    vectors = features(40, 8, 0).half()
    expected = neighbors.nearest(vectors.float(), 5)
    assert neighbors.nearest(vectors, 5).tolist() == expected.tolist()


def test_the_search_depends_on_the_device_and_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = features(60, 4, 0)
    monkeypatch.setattr(screened_search, "MANY", 60)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    assert neighbors.search_for(vectors.to("meta")) is neighbors.torch_search
    assert neighbors.search_for(vectors) is screened_search.screened_search
    assert neighbors.search_for(vectors[:59]) is cpu_search.symmetric_search
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert neighbors.search_for(vectors) is cpu_search.symmetric_search


@pytest.mark.parametrize("size", [2, 5])
def test_processes_share_the_blocks_of_a_gpu(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = features(50, 8, 0)
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", 4 * 50 * 7)
    monkeypatch.setattr(neighbors, "search_for", lambda features: neighbors.torch_search)
    one = neighbors.nearest(vectors, 9)
    found, *others = shared(size, lambda processes: neighbors.nearest(vectors, 9, processes))
    assert found.tolist() == one.tolist()
    assert {other.shape for other in others} == {(0, 9)}


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(
    "search",
    [cpu_search.symmetric_search, screened_search.screened_search, neighbors.torch_search],
)
def test_every_process_counts_all_images(
    search: neighbors.Search, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, counted = features(300, 8, 0), [0.0] * size
    monkeypatch.setattr(cpu_search, "TILE", 64)
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", 4 * 300 * 7)
    monkeypatch.setattr(neighbors, "search_for", lambda features: search)

    def count(processes: Processes) -> None:
        def advance(images: float) -> None:
            counted[processes.rank] += images

        neighbors.nearest(vectors, 9, processes, advance)

    shared(size, count)
    assert counted == pytest.approx([300.0] * size)


@pytest.mark.parametrize("k", [2048, 2049, 2100])
def test_many_neighbours_are_found(k: int) -> None:
    vectors = features(2100, 4, 0)
    found = neighbors.torch_search(vectors, vectors.square().sum(1), k)
    expected = torch.cdist(vectors.double(), vectors.double()).topk(k, largest=False).values
    distances = torch.cdist(vectors.double(), vectors.double()).gather(
        1, torch.from_numpy(found).long()
    )
    torch.testing.assert_close(distances, expected, rtol=0, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("k", [20, 2100])
def test_the_gpu_finds_what_the_cpu_finds(k: int) -> None:
    vectors = features(5000, 64, 0)
    found = neighbors.torch_search(vectors.cuda(), vectors.cuda().square().sum(1), k)
    assert (found == neighbors.nearest(vectors, k)).mean() > 0.99


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_finds_what_the_cpu_finds_of_each_camera() -> None:
    vectors, seen = features(5000, 64, 0), np.arange(5000) % 7
    found, expected = (neighbors.nearest_by_camera(v, seen, 20) for v in (vectors.cuda(), vectors))
    for lists, others in zip(found, expected, strict=True):
        assert (lists == others).mean() > 0.99
