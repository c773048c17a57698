"""What becomes of a run stands in `status.json`."""

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pplr_cli.runs.status import end_status, read_status, write_status


def test_it_says_who_when_and_what(tmp_path: Path) -> None:
    write_status(tmp_path, "running")
    status = json.loads((tmp_path / "status.json").read_text())
    when = datetime.fromisoformat(status.pop("time"))
    assert timedelta() <= datetime.now(UTC) - when < timedelta(minutes=1)
    assert status == {
        "state": "running", "reason": None, "code": None, "pid": os.getpid(),
        "host": socket.gethostname(),
    }  # fmt: skip


def test_the_end_has_a_reason_and_a_code(tmp_path: Path) -> None:
    end_status(tmp_path, "interrupted", "SIGTERM", 143)
    status = read_status(tmp_path)
    assert (status["state"], status["reason"], status["code"]) == ("interrupted", "SIGTERM", 143)


def test_an_end_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    end_status(tmp_path / "gone", "failed", "why", 1)
    assert not (tmp_path / "gone").exists()
    (tmp_path / "status.json").mkdir()  # in its way
    end_status(tmp_path, "failed", "why", 1)
    with pytest.raises(OSError, match=r"status\.json"):
        write_status(tmp_path, "failed")


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\xff"])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "status.json").write_bytes(text.encode("latin-1"))
    assert read_status(tmp_path) == {}
