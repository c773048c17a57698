"""Who may use a run folder, and what a run can be resumed with."""

import io
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pplr_cli.app import run
from pplr_cli.data.manifest import Manifest
from pplr_cli.runs.records import Run
from tests.conftest import Done
from tests.faults.conftest import Runs, camera_mode, in_second_step, outcome, status

Undisturbed = tuple[str, dict[str, Any], float]


@pytest.fixture(scope="module")
def interrupted(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that SIGTERM stopped in its first epoch."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    process = in_second_step(runs, folder)
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    return folder


@pytest.fixture
def stopped(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(interrupted, tmp_path / "run")


def again(folder: Path, data: Path, *more: str, mode: str = "train") -> int:
    return run([mode, "--run-dir", str(folder), "--data-dir", str(data), "--workers", "1", *more])


def test_a_second_run_in_the_folder_is_refused(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = in_second_step(runs, folder)
    for words in (["--resume"], ["--dry-run"]):
        second = runs.start(folder, *words)
        assert second.wait() == 1
        assert f"another pplr trains in this folder (process {first.pid} on " in second.text
    assert first.alive()
    assert first.wait() == 0, first.text
    assert status(folder)["state"] == "finished"


def test_a_killed_run_locks_nobody_out(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = in_second_step(runs, folder)
    process.send(signal.SIGKILL)
    assert process.wait() is None
    assert (folder / ".lock").exists()
    assert runs.start(folder, "--resume").wait() == 0
    assert not (folder / ".lock").exists()


def test_a_run_is_kept_unless_a_flag_says_otherwise(
    tiny_preset: Path, tiny_data: Path, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in stopped.glob("*.pt")}
    assert again(stopped, tiny_data, "--preset", str(tiny_preset)) == 2
    err = capsys.readouterr().err
    assert "already contains a run\nhint: continue it with --resume, delete it with --over" in err
    assert {path: path.read_bytes() for path in stopped.glob("*.pt")} == before


@camera_mode
def test_a_finished_run_is_kept_and_resumed_computes_nothing_but_tells_its_result(
    runs: Runs, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    mode, expected, _ = undisturbed
    assert runs.start(tmp_path / "run", mode=mode).wait() == 0
    assert runs.start(tmp_path / "run", mode=mode).wait() == 2
    process = runs.start(tmp_path / "run", "--resume", mode=mode)
    assert process.wait() == 0
    assert "the run is finished after 2 epochs; to train longer: `pplr train" in process.text
    assert "--set optim.epochs=4 " in process.text
    assert "weights: " in process.text
    assert outcome(tmp_path / "run") == expected


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_state_gives_way_to_the_one_before(
    runs: Runs, stopped: Path, tmp_path: Path, share: float
) -> None:
    state = stopped / "state.pt"
    whole = state.read_bytes()
    state.write_bytes(whole[: int(share * len(whole))])
    process = runs.start(stopped, "--resume")
    assert process.wait() == 0, process.text
    assert f"warning: `{state}`: damaged or cut short" in process.text
    assert f"resuming from `{stopped / 'state.previous.pt'}`" in process.text
    assert f"the damaged file is now `{stopped / 'state.damaged.pt'}`" in process.text
    assert (stopped / "state.damaged.pt").read_bytes() == whole[: int(share * len(whole))]


def test_a_named_state_that_is_damaged_is_not_replaced(
    stopped: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = stopped / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    assert again(stopped, tiny_data, "--resume-from", str(state)) == 1
    err = capsys.readouterr().err
    assert f"error: `{state}`: damaged or cut short" in err
    assert "--resume-from" in err
    assert state.exists()


def other_labels() -> bytes:
    """Labels of another data set."""
    file = io.BytesIO()
    np.savez(file, labels=np.zeros(7, np.int64), agreement=np.zeros((7, 3), np.float32))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels/epoch-002.npz", b""),
        ("labels/epoch-002.npz", b"PK\x03\x04 cut"),
        ("labels/epoch-002.npz", other_labels()),
        ("labels/epoch-002.npz", "folder"),
        ("labels/epoch-002.npz", None),
        ("metrics.jsonl", b""),
        ("metrics.jsonl", b'{"epoch": 1, "clusters": 5}\n7\n'),
        ("status.json", b"[" * 9999),
        ("status.json", None),
        ("environment.json", b"[1]"),
    ],
)
def test_edited_records_do_not_keep_a_run_from_being_resumed(
    done: Done, tiny_data: Path, tmp_path: Path, name: str, content: bytes | str | None
) -> None:
    folder = Path(shutil.copytree(done.folder, tmp_path / "run"))
    (folder / name).unlink()
    if content == "folder":
        (folder / name / "mine").mkdir(parents=True)
    elif isinstance(content, bytes):
        (folder / name).write_bytes(content)
    more = ("--resume", "--set", "optim.epochs=3")
    assert again(folder, tiny_data, *more, mode="train-cam") == 0
    assert [row["epoch"] for row in Run(folder).rows] == [0, 1, 2, 3]
    assert status(folder)["state"] == "finished"


def test_other_settings_are_refused(
    stopped: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(stopped, tiny_data, "--resume", "--set", "optim.lr=0.1") == 2
    assert "`optim.lr` was 0.00035, is 0.1" in capsys.readouterr().err
    assert again(stopped, tiny_data, "--resume", mode="train-cam") == 2
    assert "this is a run of `pplr train`" in capsys.readouterr().err
    assert status(stopped)["state"] == "interrupted"


def test_changed_data_are_refused(
    stopped: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data" / "tiny" / "manifest.json")
    root = tmp_path / "data" / "tiny" / "images"
    first, second = (root / image.path for image in manifest.images[:2])
    first.write_bytes(second.read_bytes())
    assert again(stopped, tmp_path / "data", "--resume") == 1
    assert "data set `tiny` has changed since the run began" in capsys.readouterr().err


def test_an_image_that_vanishes_is_named(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data" / "tiny" / "manifest.json")
    (tmp_path / "data" / "tiny" / "images" / manifest.images[0].path).unlink()
    assert again(tmp_path / "run", tmp_path / "data", "--preset", str(tiny_preset)) == 1
    assert Path(manifest.images[0].path).name in capsys.readouterr().err


@camera_mode
def test_images_that_vanish_after_the_start_are_not_missed(
    runs: Runs, undisturbed: Undisturbed, tiny_data: Path, tmp_path: Path
) -> None:
    mode, expected, _ = undisturbed
    shutil.copytree(tiny_data, tmp_path / "data")
    process = in_second_step(runs, tmp_path / "run", mode=mode, data=tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    assert process.wait() == 0, process.text
    assert outcome(tmp_path / "run")["metrics"] == expected["metrics"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "clustering.k1=97"], 2, "96 training images, `clustering.k1` needs 97"),
        (["--set", "batch.size=128"], 2, "96 training images, `batch.size` needs 128"),
        (["--set", "batch.size=2", "--set", "batch.instances=2"], 2, "two or more times"),
        (["--device", "cuda:99"], 1, "cuda:99"),
        (["--device", "tpu"], 2, "unknown device"),
    ],
)
def test_what_can_be_known_before_is_told_before(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], code: int, message: str,
) -> None:  # fmt: skip
    assert again(tmp_path / "run", tiny_data, "--preset", str(tiny_preset), *options) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
