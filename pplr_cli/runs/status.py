"""`status.json`: what has become of a run, for people and for the scripts that wait for it."""

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
    """Write what has become of the run in `folder`.

    Args:
        folder: the run folder.
        state: in words.
        reason: why it failed, or the signal that ended it.
        code: the exit code; None while the run goes on.
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
    """Write how the run ended, where the disk still allows it: that must not hide the reason."""
    if folder.is_dir():
        with suppress(OSError):
            write_status(folder, state, reason=reason, code=code)


def read_status(folder: Path) -> dict[str, Any]:
    """Return what `status.json` says, nothing where there is none that can be read."""
    try:
        status = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}
