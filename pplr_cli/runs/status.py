"""`status.json`: the state of a run, for people and scripts."""

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pplr_cli.files import write_text

STATUS = "status.json"

State = Literal["running", "finished", "failed", "interrupted"]


def write_status(
    folder: Path, state: State, *, reason: str | None = None, code: int | None = None
) -> None:
    """Write the state of the run in `folder`.

    Args:
        folder: the run folder.
        state: of the run.
        reason: why it failed, or the signal that ended it.
        code: the exit code; None while the run continues.
    """
    status = {
        "state": state,
        "reason": reason,
        "code": code,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(folder / STATUS, json.dumps(status, indent=1) + "\n")


def end_status(folder: Path, state: State, reason: str, code: int) -> None:
    """Write how the run ended; a failure to write must not hide the reason."""
    if folder.is_dir():
        with suppress(OSError):
            write_status(folder, state, reason=reason, code=code)


def read_status(folder: Path) -> dict[str, Any]:
    """Return the content of `status.json`; empty if it is missing or damaged."""
    try:
        status = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}
