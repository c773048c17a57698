import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from pplr_cli.config import presets
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.engine.network import initial_network
from pplr_cli.errors import DataError
from pplr_cli.progress import Silent
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.published import RANKS
from pplr_cli.retrieval.ranking import TOP, Scorer, evaluate, observe
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.runtime import Runtime
from pplr_cli.weights.initial import SYNTHETIC


def score(blocks, *labels):
    relevance = find_relevance(*labels)
    scorer = Scorer(relevance)
    observe(blocks, relevance.shape, scorer.update)
    return scorer.scores


def slow_scores(distances, query_ids, gallery_ids, query_cams, gallery_cams):
    """Average precision, place of the first match and inverse negative penalty of each query."""
    scores = []
    for q, row in enumerate(distances):
        kept = (gallery_ids != query_ids[q]) | (gallery_cams != query_cams[q])
        matches, row = (gallery_ids == query_ids[q])[kept], row[kept]
        if not matches.any():
            continue
        places = np.flatnonzero(matches[np.argsort(row, kind="stable")])
        precision = average_precision_score(matches, -row)
        scores.append((precision, places[0], len(places) / (places[-1] + 1)))
    return np.array(scores)


@given(
    queries=st.integers(1, 8),
    gallery=st.integers(1, 70),
    identities=st.integers(1, 5),
    cameras=st.integers(1, 3),
    levels=st.integers(1, 60),
    block=st.integers(1, 4),
    seed=st.integers(0),
)
def test_scores_equal_the_slow_version_and_scikit_learn_with_ties(
    queries, gallery, identities, cameras, levels, block, seed
):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, levels, (queries, gallery)).astype(np.float32)  # few levels: ties
    ids = rng.integers(0, identities, queries), rng.integers(0, identities, gallery)
    cams = rng.integers(0, cameras, queries), rng.integers(0, cameras, gallery)
    blocks = [distances[row : row + block] for row in range(0, queries, block)]
    expected = slow_scores(distances, *ids, *cams)
    if len(expected) == 0:
        with pytest.raises(DataError, match=f"none of the {queries} query images"):
            score(blocks, *ids, *cams)
        return
    scores = score(blocks, *ids, *cams)
    assert scores.queries == len(expected)
    assert scores.skipped == queries - len(expected)
    assert scores.mAP == pytest.approx(expected[:, 0].mean(), abs=1e-9)
    assert scores.mINP == pytest.approx(expected[:, 2].mean(), abs=1e-9)
    cmc = [(expected[:, 1] <= k).mean() for k in range(TOP)]
    np.testing.assert_allclose(scores.cmc, cmc, atol=1e-12)
    assert scores.rank(1) == scores.cmc[0]
    assert scores.rank(10) == scores.cmc[9]


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "evaluation.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("budget", [1 << 28, 7 * 900 * 4])
@pytest.mark.parametrize("rerank", [False, True])
def test_golden(golden, rerank, budget):
    features = [torch.from_numpy(golden[f"{part}_features"]) for part in ("query", "gallery")]
    labels = [golden[f"{part}_{what}"] for what in ("ids", "cams") for part in ("query", "gallery")]
    scores = evaluate(*features, find_relevance(*labels), rerank=rerank, budget=budget)
    prefix = "reranked_" if rerank else ""
    assert scores.mAP == pytest.approx(float(golden[f"{prefix}mAP"]), abs=1e-5)
    np.testing.assert_allclose(scores.cmc, golden[f"{prefix}cmc"], atol=1e-6)


def test_features_that_are_not_finite_are_named():
    good, bad = torch.zeros(3, 2), torch.tensor([[0.0, 1.0], [torch.nan, 0.0]])
    ids = np.arange(2), np.arange(3), np.zeros(2, np.int64), np.ones(3, np.int64)
    with pytest.raises(DataError, match="the query features contain values that are not finite"):
        evaluate(bad, good, find_relevance(*ids))


@pytest.mark.parametrize("shapes", [[(2, 4)], [(1, 3)], [(3, 3)], [(1, 3), (2, 3)], []])
def test_blocks_of_another_shape_are_refused(shapes):
    blocks = [np.zeros(shape, np.float32) for shape in shapes]
    with pytest.raises(ValueError, match=r"(1|2) queries, 3 gallery images"):
        observe(blocks, (2, 3))


@pytest.mark.gpu
@pytest.mark.parametrize("rerank", [False, True])
def test_the_gpu_scores_like_the_cpu(golden, rerank):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    features = [torch.from_numpy(golden[f"{part}_features"]) for part in ("query", "gallery")]
    labels = [golden[f"{part}_{what}"] for what in ("ids", "cams") for part in ("query", "gallery")]
    relevance = find_relevance(*labels)
    on_gpu = evaluate(*(f.cuda() for f in features), relevance, rerank=rerank)
    on_cpu = evaluate(*features, relevance, rerank=rerank)
    assert on_gpu.mAP == pytest.approx(on_cpu.mAP, abs=1e-5)


@pytest.fixture
def drawn_sets(tiny_data, tiny_preset):
    """Features of drawn crops by the shipped network, with identities and cameras."""
    config = presets.resolve(str(tiny_preset), "train", ["model.weights=synthetic"])
    network = initial_network(config, SYNTHETIC, Silent())
    model = Model(network, config, Runtime(workers=1, cache=False), {})
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    splits = map(manifest.split, (Split.QUERY, Split.GALLERY))
    return [(model.embed(each.files), each.identities, each.cameras) for each in splits]


def random_sets(rng):
    """Random features of 40 query and 300 gallery images, with identities and cameras."""
    for count in (40, 300):
        yield (
            rng.standard_normal((count, 64)).astype(np.float32),
            rng.integers(-1 if count == 300 else 0, 12, count),
            rng.integers(0, 4, count),
        )


@pytest.mark.parametrize("source", ["random", "drawn"])
def test_scores_equal_those_of_reid(source, request):
    metrics = pytest.importorskip("reid.eval.metrics", reason="the package reid is not installed")
    sets = request.getfixturevalue("drawn_sets") if source == "drawn" else None
    rng = np.random.default_rng(0)
    (query, *query_labels), (gallery, *gallery_labels) = sets or random_sets(rng)
    query, gallery = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in (query, gallery))
    labels = [each for pair in zip(query_labels, gallery_labels, strict=True) for each in pair]
    ours = evaluate(torch.from_numpy(query), torch.from_numpy(gallery), find_relevance(*labels))
    theirs = metrics._compute_reid_metrics(
        metrics.distance_matrix(query, gallery),
        *labels,
        gallery_junk_pids=frozenset(),  # as images without identity, which match no query
    )
    assert ours.queries == theirs.num_queries
    assert ours.mAP == pytest.approx(theirs.mean_average_precision / 100, abs=1e-5)
    assert ours.mINP == pytest.approx(theirs.minp / 100, abs=1e-5)
    for rank in RANKS:
        assert ours.rank(rank) == pytest.approx(getattr(theirs, f"rank{rank}") / 100, abs=1e-5)
    assert 0 < ours.mAP < 1
