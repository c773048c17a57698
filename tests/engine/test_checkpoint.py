"""Weights files and states: intact, damaged, foreign."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from pplr_cli.engine import checkpoint
from pplr_cli.engine.checkpoint import load_state, newest_state, previous, save_state, save_weights
from pplr_cli.engine.network import Network
from pplr_cli.errors import PplrError, StateError
from pplr_cli.weights.loading import read_state_dict

ABOUT = {"mode": "train", "epoch": 3, "settings": {"data": {"name": "tiny"}}}


def test_file_is_a_plain_state_dict(tmp_path: Path) -> None:
    network, other = Network("tiny", classes=4), Network("tiny", classes=4)
    path = tmp_path / "best.pth"
    save_weights(network, path, ABOUT)
    other.load_state_dict(torch.load(path, weights_only=True))
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


class OnGpu(torch.Tensor):
    """A tensor that only `cpu` turns into one that every machine can read."""

    def cpu(self, *_: Any) -> torch.Tensor:  # type: ignore[override]
        return self.as_subclass(torch.Tensor)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_weights_saved_on_a_gpu_load_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    save_weights(Network("tiny", classes=4).cuda(), path, ABOUT)
    program = f"import torch; state = torch.load({str(path)!r}, weights_only=True); "
    program += "assert not torch.cuda.is_available(); print(len(state))"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert int(done.stdout) == len(Network("tiny").state_dict()), done.stderr


def test_weights_of_a_gpu_are_saved_as_those_of_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network("tiny", classes=4)
    expected = network.state_dict()
    there = network.state_dict()
    there.update({name: value.as_subclass(OnGpu) for name, value in expected.items()})
    monkeypatch.setattr(network, "state_dict", lambda: there)
    save_weights(network, tmp_path / "best.pth", ABOUT)
    loaded = torch.load(tmp_path / "best.pth", weights_only=True)  # refuses other classes
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())
    about = read_state_dict(tmp_path / "best.pth").about
    assert about is not None
    assert ABOUT.items() <= about.items()


def test_settings_are_in_the_metadata(tmp_path: Path) -> None:
    save_weights(Network("tiny", classes=4), tmp_path / "a.pth", ABOUT)
    about = read_state_dict(tmp_path / "a.pth").about
    assert about is not None
    assert ABOUT.items() <= about.items()


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.pth"
    network = Network("tiny", classes=4)
    save_weights(network, path, ABOUT)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def full(content: memoryview, file: IO[bytes]) -> None:
        file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_put", full)
    with pytest.raises(PplrError, match=r"best\.pth`: No space left on device: saving the weights"):
        save_weights(network, path, ABOUT)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert [file.name for file in tmp_path.iterdir()] == ["best.pth"]


STATE: dict[str, Any] = {
    "epoch": 3,
    "network": {"weight": torch.arange(5000.0), "steps": torch.tensor(7)},
    "current": None,
    "rows": [{"epoch": 1, "mAP": 0.5}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state and the one before it, of epochs 3 and 2."""
    path = tmp_path / "state.pt"
    save_state(STATE | {"epoch": 2}, path)
    save_state(STATE, path)
    return path


def test_a_state_is_read_as_it_was_saved(path: Path) -> None:
    state = load_state(path)
    assert torch.equal(state["network"].pop("weight"), STATE["network"]["weight"])
    assert state["network"] == {"steps": torch.tensor(7)}
    assert (state["epoch"], state["current"], state["rows"]) == (3, None, STATE["rows"])
    assert load_state(previous(path))["epoch"] == 2
    assert sorted(file.name for file in path.parent.iterdir()) == ["state.previous.pt", "state.pt"]


def test_a_state_can_be_read_without_pplr(path: Path) -> None:
    assert torch.load(path, weights_only=True)["epoch"] == 3


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_state_cut_short_is_refused_and_the_one_before_found(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        StateError, match=r"state\.pt`: damaged or cut short: its SHA-256"
    ) as caught:
        load_state(path)
    assert "--resume-from" in str(caught.value.hint)
    state, faults = newest_state(path)
    assert state["epoch"] == 2
    assert [fault.message for fault in faults] == [caught.value.message]


@pytest.mark.parametrize("place", [0.0, 0.02, 0.3, 0.6, 0.97, 0.99, 1.0])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_found_at_any_place(path: Path, place: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(StateError, match="SHA-256 does not match"):
        load_state(path)
    assert newest_state(path)[0]["epoch"] == 2


def test_bytes_after_a_state_are_found(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(StateError, match="SHA-256 does not match"):
        load_state(path)


def test_if_no_state_is_intact_the_newest_is_named(path: Path) -> None:
    path.write_bytes(b"")
    previous(path).write_bytes(b"")
    with pytest.raises(StateError, match=r"state\.pt`: damaged"):
        newest_state(path)
    path.unlink()
    with pytest.raises(StateError, match=r"state\.previous\.pt`: damaged"):
        newest_state(path)
    previous(path).unlink()
    with pytest.raises(StateError, match="no such state file"):
        newest_state(path)


def test_after_a_kill_the_previous_state_may_be_the_only_one(path: Path) -> None:
    path.unlink()
    state, faults = newest_state(path)
    assert state["epoch"] == 2
    assert "no such state file" in faults[0].message


def test_a_newer_format_asks_for_a_newer_pplr(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "STATE_FORMAT", 2)
    save_state(STATE, path)
    monkeypatch.undo()
    for read in (load_state, newest_state):  # the older one before it is not taken instead
        with pytest.raises(PplrError, match="state format 2, this pplr reads 1") as caught:
            read(path)
        assert caught.value.hint == "upgrade pplr"
        assert caught.value.exit_code == 1


class Malicious:
    """Leaves a trace when it is unpickled by an unsafe reader."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_malicious_state_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    save_state(STATE | {"rows": Malicious(trace)}, path)  # its digest holds
    with pytest.raises(StateError, match="not a state of a run") as caught:
        load_state(path)
    assert "weights_only" not in f"{caught.value} {caught.value.hint}"
    assert not trace.exists()
    assert newest_state(path)[0]["epoch"] == 3


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 1}, {"format": "x"}])
def test_other_content_with_a_digest_is_no_state(path: Path, content: Any) -> None:
    with path.open("wb") as file:
        torch.save(content, file)
    path.write_bytes(path.read_bytes() + hashlib.sha256(path.read_bytes()).digest())
    with pytest.raises(StateError, match="not a state of a run"):
        load_state(path)


def test_what_does_not_fit_is_refused_before_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = checkpoint.shutil.disk_usage(path.parent)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(PplrError, match=r"needs .* kB, 1\.0 kB are free"):
        save_state(STATE, path)
    assert load_state(path)["epoch"] == 3
    assert load_state(previous(path))["epoch"] == 2


def test_a_disk_that_fills_in_the_middle_leaves_both_states(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(content: memoryview, file: IO[bytes]) -> None:
        file.write(content[:600_000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_put", full)
    big = STATE | {"network": {"weight": torch.zeros(300_000)}}
    with pytest.raises(PplrError, match=r"state\.pt`: No space left on device: .* needs 1\.2 MB"):
        save_state(big, path)
    assert load_state(path)["epoch"] == 3
    assert load_state(previous(path))["epoch"] == 2
    assert len(list(path.parent.iterdir())) == 2
