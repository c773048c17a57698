"""Charts of an evaluation."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pplr_cli.report import style
from pplr_cli.report.curves import draw_cmc, draw_separation
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.retrieval.separation import BINS, Separation


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    saved: list[Figure] = []
    original = style.save

    def save(figure: Figure, path: Path) -> None:
        saved.append(figure)
        original(figure, path)

    monkeypatch.setattr(style, "save", save)
    return saved


def test_cmc_shows_the_scores(tmp_path: Path, drawn: list[Figure]) -> None:
    cmc = np.linspace(0.5, 0.99, 50)
    draw_cmc(Scores(0.4321, cmc, 0.1, 1234, 5), tmp_path / "cmc.png", "demo")
    assert (tmp_path / "cmc.png").is_file()
    (axes,) = drawn[0].axes
    x, y = axes.lines[0].get_data()
    np.testing.assert_array_equal(x, np.arange(1, 21))
    np.testing.assert_allclose(y, 100 * cmc[:20])
    assert axes.get_title() == "demo: CMC, mAP 43.2, 1,234 queries"
    assert {text.get_text() for text in axes.texts} == {
        f"rank-{k}: {100 * cmc[k - 1]:.1f}" for k in (1, 5, 10)
    }


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_cmc_without_slope(tmp_path: Path, drawn: list[Figure], value: float) -> None:
    draw_cmc(Scores(value, np.full(50, value), value, 1, 0), tmp_path / "cmc.pdf", "demo")
    low, high = drawn[0].axes[0].get_ylim()
    assert low <= 100 * value < high


@pytest.mark.parametrize("rerank", [False, True])
def test_distances_show_both_distributions_and_the_threshold(
    tmp_path: Path, drawn: list[Figure], rerank: bool
) -> None:
    limit = 1.0 if rerank else 2.0
    same, different = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    same[500:700], different[900:1100] = 1, 30
    separation = Separation(same, different, limit)
    draw_separation(separation, tmp_path / "d.png", "demo", rerank=rerank)
    (axes,) = drawn[0].axes
    shares = [patch.get_data().values for patch in axes.patches]
    assert [share.sum() for share in shares] == pytest.approx([100, 100])
    edges = axes.patches[0].get_data().edges
    assert shares[0][(edges[:-1] < limit * 0.25) | (edges[:-1] >= limit * 0.35)].sum() == 0
    assert axes.lines[0].get_xdata()[0] == separation.threshold
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0].startswith("same identity: 100.0 % below")
    assert labels[1].startswith("different: 0.0 % below")
    assert axes.patches[1].get_hatch()
    assert ("re-ranked" in axes.get_xlabel()) == rerank
