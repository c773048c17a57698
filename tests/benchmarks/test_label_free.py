"""Rank correlations of scores with the mAP, on made-up runs and a real one."""

import numpy as np
import pytest

from benchmarks import label_free
from benchmarks.label_free import Scored, by_records, correlation, distinct, silhouette, table
from pplr_cli.runs.records import Run
from tests.conftest import Done


def test_a_table_of_correlations_within_and_across_runs() -> None:
    """The score orders the first run as its mAP does, the second one the other way round."""
    runs = [
        Scored("one", [0.1, 0.2, 0.4], [{"score": 1.0}, {"score": 2.0}, {"score": 3.0}]),
        Scored("two", [0.5, 0.3], [{"score": 1.0}, {"score": 7.0}]),
        Scored("three", [0.2, 0.2], [{"score": 1.0}, {"score": 2.0}]),  # says nothing within
    ]
    lines = list(table(runs))
    assert lines[2] == "| score | +0.00, 50% of 2 | +0.50 of 3 | 30.0 |"
    assert [line.split("|")[4].strip() for line in lines[3:]] == ["26.7", "30.0", "36.7"]


def test_correlation_of_a_constant_is_none() -> None:
    assert correlation([1, 2, 3], [5, 5, 5]) is None
    assert correlation([1, 2, 3], [3, 5, 4]) == pytest.approx(0.5)


def test_the_labels_of_an_epoch_score_the_network_before_it(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_free, "EPOCHS", 2)
    runs = list(distinct([done.folder, done.folder]))
    assert [run.path for run in runs] == [done.folder]
    found, rows = by_records(runs[0]), Run(done.folder).rows
    assert found.maps == [rows[0]["mAP"], rows[1]["mAP"]]
    assert "stability (ARI with the labels before)" not in found.scores[0]
    names = {"clustered images, share", "5 nearest within eps"}
    assert names <= found.scores[0].keys() < found.scores[1].keys()
    assert found.scores[1]["clustered images, share"] == 1 - rows[2]["outlier_share"]


def test_silhouette_leaves_outliers_out() -> None:
    alike = np.array([[1, 0.9, 0, 0, 0.5], [0.9, 1, 0, 0, 0.5], [0, 0, 1, 0.9, 0.5],
                      [0, 0, 0.9, 1, 0.5], [0.5] * 5], np.float32)  # fmt: skip
    assert silhouette(alike, np.array([0, 0, 1, 1, -1])) == pytest.approx(0.9)
