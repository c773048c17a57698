"""Figures for TensorBoard."""

import importlib.util
import json
from pathlib import Path

import pytest

from pplr_cli.app import run
from pplr_cli.errors import PplrError
from pplr_cli.report import tensorboard
from tests.test_progress import Listener


def test_missing_tensorboard_is_told_before_anything_is_done(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
    assert run(["train", *options, "--run-dir", str(tmp_path / "run"), "--tensorboard"]) == 1
    assert "`pip install 'pplr[tensorboard]'`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(PplrError):
        tensorboard.TensorBoard.require()


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="needs tensorboard")
@pytest.mark.filterwarnings("ignore")  # tensorboard's own
def test_every_figure_is_there(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data), "--tensorboard"]
    assert run(["train", *options, "--run-dir", str(tmp_path / "run")]) == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    found = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, value in row.items():
            if name != "epoch":
                expected.setdefault(name, []).append((row["epoch"], pytest.approx(value)))
    assert {tag.partition("/")[2]: points for tag, points in found.items()} == expected
    assert {tag.partition("/")[0] for tag in found} == {*tensorboard.GROUPS, "run"}


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="needs tensorboard")
@pytest.mark.filterwarnings("ignore")
def test_a_board_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    listener = Listener()
    written = tensorboard.TensorBoard(tmp_path, listener)

    def full() -> None:
        raise OSError(28, "No space left on device")

    written._writer.flush = full
    written.add({"epoch": 1, "clusters": 3})
    ((message, _),) = listener.warnings
    assert "No space left" in message
