"""The loggers, each read back with its own package."""

import json
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.app import run
from pplr_cli.config.fields import LoggerName
from pplr_cli.errors import PplrError
from pplr_cli.report import loggers
from tests.shared_reporter import Recorder

Points = dict[str, list[tuple[int, float]]]
Train = Callable[..., int]


@pytest.fixture
def train(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> Train:
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
    return lambda *more: run(["train", *options, "--run-dir", str(tmp_path / "run"), *more])


def recorded(folder: Path) -> Points:
    """Return the figures of a run folder by name, as (epoch, value)."""
    found: Points = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, value in row.items():
            if name != "epoch":
                found.setdefault(name, []).append((row["epoch"], pytest.approx(value)))
    return found


def ungrouped(points: Points) -> Points:
    """Drop the groups from the names, after checking them."""
    assert {name.partition("/")[0] for name in points} == {*loggers.GROUPS, "run"}
    return {name.partition("/")[2]: each for name, each in points.items()}


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find_spec(package), reason=f"needs {package}")


def test_every_name_has_a_logger() -> None:
    assert set(loggers.LOGGERS) == set(LoggerName)


@pytest.mark.parametrize("name", LoggerName)
def test_a_missing_package_is_an_error_before_anything_is_done(
    name: LoggerName, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    assert train("--log", name) == 1
    assert f"`pip install 'pplr[{name}]'`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_unknown_logger_is_wrong_usage(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--log", "paper") == 2
    assert "wandb" in capsys.readouterr().err


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")  # its own
def test_tensorboard_gets_every_figure(train: Train, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train("--log", "tensorboard") == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    found = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert ungrouped(found) == recorded(tmp_path / "run")


@needs("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_every_figure_of_a_resumed_run(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert train("--log", "mlflow", "--set", "optim.epochs=1") == 0
    assert train("--log", "mlflow", "--set", "optim.epochs=2", "--resume") == 0
    client = MlflowClient()
    experiment = client.get_experiment_by_name("pplr")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "run"
    assert logged.data.params["optim.epochs"] == "1"
    found = {
        name: [
            (each.step, each.value) for each in client.get_metric_history(logged.info.run_id, name)
        ]
        for name in logged.data.metrics
    }
    assert ungrouped(found) == recorded(tmp_path / "run")


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_gets_the_figures_and_settings_offline(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert train("--log", "wandb") == 0
    (written,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    found = wandb_history(next(written.glob("*.wandb")))
    assert ungrouped(found) == recorded(tmp_path / "run")
    assert written.name.endswith((tmp_path / "run" / "wandb" / "id").read_text().strip())


def wandb_history(file: Path) -> Points:
    """Return the history in a file that Weights & Biases wrote offline."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: Points = {}
    for data in leveldb_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        values = {
            ".".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
        }
        for name, value in values.items():
            if not name.startswith("_"):
                found.setdefault(name, []).append((values["_step"], value))
    return found


def leveldb_records(data: bytes, header: int = 7, block: int = 32768) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format, with a header of `header` bytes."""
    at, whole = header, b""
    while at + 7 <= len(data):
        if block - at % block < 7:  # padding
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)  # after the checksum
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:  # all of a record, or its last piece
            yield whole
            whole = b""


class Failing:
    """A logger whose disk is full."""

    def __init__(self, folder: Path, settings: Any) -> None:
        self.closed = False

    def add(self, epoch: int, figures: Any) -> None:
        raise OSError(28, "No space left on device")

    close = add


def test_a_log_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loggers.LOGGERS, "tensorboard", Failing)
    listener = Recorder()
    with loggers.logging_to("tensorboard", tmp_path, {}, listener) as log:
        log({"epoch": 1, "clusters": 3})
    assert "--log tensorboard" in listener.warnings[0]
    assert "No space left" in listener.warnings[0]


def test_a_log_that_cannot_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, settings: Any) -> None:
        raise ValueError("not logged in")

    monkeypatch.setitem(loggers.LOGGERS, "wandb", refuse)
    with (
        pytest.raises(PplrError, match="--log wandb: not logged in"),
        loggers.logging_to("wandb", tmp_path, {}, Recorder()),
    ):
        pass
