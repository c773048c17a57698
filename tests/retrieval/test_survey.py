"""The closer look sees what the evaluation scores."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pplr_cli.errors import DataError
from pplr_cli.retrieval.distance import squared_distances
from pplr_cli.retrieval.nearest import NONE
from pplr_cli.retrieval.ranking import evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.retrieval.rerank import reranked_blocks
from pplr_cli.retrieval.survey import survey

QUERIES, GALLERY = 30, 90


@pytest.fixture
def inputs():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 12, QUERIES), rng.integers(0, 10, GALLERY)  # 10 and 11 have no match
    cams = rng.integers(0, 3, QUERIES), rng.integers(0, 3, GALLERY)
    centres = rng.normal(size=(12, 8))
    features = [
        F.normalize(torch.tensor(centres[i] + rng.normal(size=(len(i), 8)), dtype=torch.float32))
        for i in ids
    ]
    return (*features, *ids, *cams)


@pytest.mark.parametrize("rerank", [False, True])
def test_blocks_of_any_size_give_the_scores_the_images_and_the_pairs(inputs, rerank):
    query, gallery, ids, gallery_ids, cams, gallery_cams = inputs
    expected = evaluate(query, gallery, find_relevance(*inputs[2:]), rerank=rerank)
    budget = 7 * GALLERY * 4
    relevance = find_relevance(*inputs[2:])
    found = survey(query, gallery, relevance, top=10, rerank=rerank, budget=budget)
    assert found.scores.mAP == expected.mAP
    assert found.scores.skipped == expected.skipped == np.isnan(found.precision).sum() > 0
    assert np.nanmean(found.precision) == pytest.approx(expected.mAP)
    assert np.nanmean(found.place == 0) * QUERIES == pytest.approx(
        expected.rank(1) * expected.queries
    )
    blocks = reranked_blocks(query, gallery) if rerank else [squared_distances(query, gallery)]
    distances = np.concatenate([np.asarray(block) for block in blocks])
    pairs = 0
    for q in range(QUERIES):
        junk = (gallery_ids == ids[q]) & (gallery_cams == cams[q])
        order = np.argsort(distances[q], kind="stable")
        np.testing.assert_allclose(
            found.ranked.distances[q], distances[q][order[~junk[order]]][:10], atol=1e-5
        )
        assert not junk[found.ranked.images[q]].any()
        pairs += 0 if np.isnan(found.precision[q]) else int((~junk).sum())
    assert found.separation.same.sum() + found.separation.different.sum() == pairs


def test_small_gallery_leaves_places_empty(inputs):
    query, gallery, ids, gallery_ids, cams, gallery_cams = inputs
    relevance = find_relevance(ids, gallery_ids[:4], cams, gallery_cams[:4])
    found = survey(query, gallery[:4], relevance, top=10)
    assert (found.ranked.images[:, 4:] == NONE).all()


def test_no_match_at_all_is_an_error(inputs):
    query, gallery, ids, gallery_ids, *cams = inputs
    with pytest.raises(DataError, match="nothing to evaluate"):
        survey(query, gallery, find_relevance(ids, gallery_ids + 100, *cams), top=10)
