"""The picture of a run."""

from pathlib import Path

import numpy as np
from PIL import Image

from pplr_cli.report.curves import draw_curves

ROWS = [
    {
        "epoch": epoch,
        "clusters": 10 - epoch,
        "outliers": epoch,
        "agreement_mean": 0.3,
        "loss_refinement": 1.0,
        "loss_triplet": 0.5,
        "loss_part": 2.0,
    }
    for epoch in (1, 2)
]
SCORES = [{"epoch": 0, "mAP": 0.4, "rank1": 0.6}]


def test_retrieval_has_a_panel_where_there_are_scores(tmp_path: Path) -> None:
    draw_curves(ROWS, tmp_path / "without.png", "PPLR")
    draw_curves(SCORES + ROWS, tmp_path / "with.png", "PPLR")
    without, with_scores = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
        for name in ("without", "with")
    )
    assert without.shape[1] * 4 == with_scores.shape[1] * 3
    assert len(np.unique(with_scores.reshape(-1, 3), axis=0)) > 50
