"""States that earlier versions wrote still resume.

`states/format-1.pt.gz` was written by pplr 0.1.0 before states had `clusters`: the run of the
fixtures `tiny_data` and `tiny_preset` in camera mode, with a narrower network, stopped by SIGTERM
in the second step of its second and last epoch:

    pplr_cli.engine.backbone.TINY_WIDTHS = (2, 4, 8, 16)
    # Trainer._step calls signal.raise_signal(signal.SIGTERM) first, at its 5th call
    pplr_cli.app.run(["train-cam", "--preset", "tiny.yaml", "--data-dir", "data"])

`LOSSES` is what that version computed when it resumed the state.
"""

import gzip
import json
from pathlib import Path

import pytest

from pplr_cli.app import run
from pplr_cli.engine import backbone
from pplr_cli.engine.checkpoint import load_state
from pplr_cli.runs import resume

STATE = Path(__file__).parent / "states" / "format-1.pt.gz"
LOSSES = {
    "loss_refinement": 2.3158533573150635,
    "loss_triplet": 3.9759438037872314,
    "loss_part": 1.3673572540283203,
    "loss_camera": 4.089399814605713,
    "loss_camera_part": 4.467552661895752,
    "loss_total": 16.216106414794922,
}


def test_a_state_of_format_1_resumes(
    tiny_data: Path, tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "old.pt"
    state.write_bytes(gzip.decompress(STATE.read_bytes()))
    before = load_state(state)
    assert before["format"] == 1
    assert "clusters" not in before["current"]
    monkeypatch.setattr(backbone, "TINY_WIDTHS", (2, 4, 8, 16))
    facts = resume.facts
    # the images are drawn again, and another Pillow may draw other pixels
    known = {"data": before["facts"]["data"]}
    monkeypatch.setattr(resume, "facts", lambda *arguments: facts(*arguments) | known)
    folder = tmp_path / "run"
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data), "--run-dir", str(folder)]
    assert run(["train-cam", *options, "--resume-from", str(state), "-q"]) == 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert {name: rows[2][name] for name in LOSSES} == pytest.approx(LOSSES, rel=1e-3)
