"""The failure that came first, agreed on through the launcher's store."""

import socket
from datetime import timedelta

import pytest
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from pplr_cli.distributed import failures
from pplr_cli.distributed.failures import Failure, first_of_all
from pplr_cli.errors import DataError, ProcessError


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    """The store that `torchrun` would hold."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    held = TCPStore("localhost", port, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(port))
    monkeypatch.setattr(failures, "GRACE", timedelta(seconds=0.5))
    return held


def test_the_first_to_fail_is_the_one_that_all_learn_of(store: TCPStore) -> None:
    first = first_of_all(Failure(1, DataError("`a.jpg`: cut", "mend it")), 2)
    assert first.rank == 1
    late = first_of_all(Failure(0, ProcessError("gone")), 2)
    assert (late.rank, late.error.message, late.error.hint) == (1, "`a.jpg`: cut", "mend it")
    assert isinstance(late.error, DataError)


def test_who_does_not_answer_is_named(store: TCPStore) -> None:
    told = first_of_all(Failure(0, ProcessError("does not answer", "look")), 3)
    assert told.rank == 0
    assert told.error.message == "does not answer; no answer from rank 1, 2"


def test_another_attempt_begins_without_failures(
    store: TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_of_all(Failure(1, DataError("old")), 2)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert first_of_all(Failure(0, DataError("new")), 2).error.message == "new"


def test_without_a_store_each_tells_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "9")
    monkeypatch.setattr(failures, "GRACE", timedelta(seconds=0.5))
    own = Failure(3, DataError("alone"))
    assert first_of_all(own, 4) == own
