"""The approximate search against the exact one, and which of them is used."""

from importlib import util

import numpy as np
import pytest
import torch

from pplr_cli.config.fields import Clustering
from pplr_cli.errors import PplrError
from pplr_cli.labelling import search
from pplr_cli.labelling.neighbors import Neighbors, nearest
from pplr_cli.runtime import Runtime
from tests.labelling.sharing import shared
from tests.shared_reporter import Recorder

COUNT = 4000


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, 24))[rng.integers(0, 200, COUNT)]
    rows = torch.from_numpy(centres + 0.5 * rng.standard_normal((COUNT, 24))).float()
    return torch.nn.functional.normalize(rows)


def found(vectors: torch.Tensor, k: int, **settings: object) -> tuple[Neighbors, list[str]]:
    listener = Recorder()
    runtime = Runtime(reporter=listener)
    return search.search(vectors, k, Clustering(**settings), runtime), listener.lines


@pytest.mark.parametrize("recall", [0.8, 0.98])
@pytest.mark.parametrize("k", [2, 20])
def test_the_recall_is_that_of_the_exact_neighbours(
    vectors: torch.Tensor, k: int, recall: float
) -> None:
    pytest.importorskip("faiss")
    result, said = found(vectors, k, search="approximate", recall=recall)
    ranks, measured = result.ranks, result.recall
    exact = nearest(vectors, k)
    true = np.mean([len({*a} & {*b}) - 1 for a, b in zip(ranks, exact, strict=True)]) / (k - 1)
    assert measured is not None
    assert measured >= recall
    assert true == pytest.approx(measured, abs=0.02)
    assert (ranks[:, 0] == np.arange(COUNT)).all()
    assert all(len({*row}) == k for row in ranks)
    assert said == [
        f"approximate neighbours of 4,000 images: recall {measured:.4f} of 1,000 images "
        f"(`clustering.recall` = {recall})"
    ]


def test_neighbours_come_in_the_order_of_their_distance(vectors: torch.Tensor) -> None:
    pytest.importorskip("faiss")
    ranks = found(vectors, 9, search="approximate")[0].ranks
    rows = torch.from_numpy(ranks).long()
    distances = (vectors[rows].double() - vectors[:, None].double()).square().sum(2)
    assert (distances.diff(dim=1) > -1e-5).all()


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_rows(vectors: torch.Tensor, size: int) -> None:
    pytest.importorskip("faiss")
    given = (vectors, vectors.square().sum(1), 20, 0.98)
    counted: list[float] = []
    one = search.approximate_search(*given, search.ALONE, counted.append)
    assert sum(counted) == pytest.approx(COUNT)
    first, *others = shared(size, lambda each: search.approximate_search(*given, each))
    assert one is not None
    assert first is not None
    assert first.ranks.tolist() == one.ranks.tolist()
    assert {other.ranks.shape for other in others if other} == {(0, 20)}


@pytest.mark.parametrize("count", [700, 1001])
def test_lists_with_too_few_images_are_filled(vectors: torch.Tensor, count: int) -> None:
    pytest.importorskip("faiss")
    few = vectors[:count]
    index = search._Index(few, few.square().sum(1), count)
    index.probe(0.01)
    assert np.sort(index.search(np.arange(9))).tolist() == [[*range(count)]] * 9


def test_a_recall_that_is_missed_leads_to_the_exact_search(
    vectors: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(search, "PROBES", (0.01, 0.02))
    result, said = found(vectors, 20, search="approximate", recall=0.98)
    assert result.recall is None
    assert result.ranks.tolist() == nearest(vectors, 20).tolist()
    assert len(said) == 1
    assert "searching exactly" in said[0]


def test_the_default_is_exact(vectors: torch.Tensor) -> None:
    result, said = found(vectors, 5)
    assert result.recall is None
    assert result.ranks.tolist() == nearest(vectors, 5).tolist()
    assert said == []


@pytest.mark.parametrize(
    ("many", "fast", "approximate"),
    [(COUNT, False, True), (COUNT + 1, False, False), (COUNT, True, False)],
)
def test_auto_depends_on_the_number_of_images_and_on_8_bit_products(
    vectors: torch.Tensor,
    many: int,
    fast: bool,
    approximate: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(search, "MANY", many)
    monkeypatch.setattr(search, "suits", lambda features: fast)
    assert (found(vectors, 5, search="auto")[0].recall is not None) == approximate


def test_faiss_is_needed_where_it_is_demanded(
    vectors: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: util.find_spec("no_such_package"))
    monkeypatch.setattr(search, "MANY", 1)
    assert found(vectors, 5, search="auto")[0].recall is None
    with pytest.raises(PplrError, match="=approximate` needs the package `faiss`") as caught:
        found(vectors, 5, search="approximate")
    assert "pip install 'pplr[search]'" in str(caught.value.hint)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 128, 255, 512, 2048])
def test_codes_divide_a_feature(size: int) -> None:
    codes = search._codes(size)
    assert size % codes == 0
    assert 1 <= codes <= max(1, size // 2)
