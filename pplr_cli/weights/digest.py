"""The SHA-256 of a weights file, and the record of it beside the file.

`FILE.sha256` is one line in the format of `sha256sum`, so `sha256sum --check` reads it as well. If
it exists, the file is checked against it each time it is read, whoever wrote the record.
"""

import hashlib
import re
from pathlib import Path

from pplr_cli.errors import WeightsError
from pplr_cli.files import naming, write_text

_RECORD = re.compile(r"([0-9a-fA-F]{64})(\s|$)")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(file: Path, expected: str, shown: str, hint: str) -> None:
    """Raise `WeightsError` unless the SHA-256 of `file`, `shown` in errors, starts as expected."""
    found = file_sha256(file)
    if not (expected and found.startswith(expected)):
        more = "..." if len(expected) < len(found) else ""
        what = f"wrong content: SHA-256 is {found}, expected {expected}{more}"
        raise WeightsError(f"`{shown}`: {what}", hint)


def record_path(file: Path) -> Path:
    """Return the path of the record of a file's SHA-256."""
    return file.with_name(f"{file.name}.sha256")


def write_record(file: Path) -> None:
    """Record the current SHA-256 of a file."""
    write_text(record_path(file), f"{file_sha256(file)}  {file.name}\n")


def holds_record(file: Path, hint: str) -> bool:
    """Check a file against its record; return False if there is none.

    Raises:
        WeightsError: the file has another SHA-256, or the record holds none.
    """
    record = record_path(file)
    if not record.is_file():
        return False
    match = _RECORD.match(record.read_text(encoding="utf-8", errors="replace"))
    if match is None:
        raise WeightsError(f"`{record}`: holds no SHA-256", hint)
    check_sha256(file, match[1].lower(), str(file), hint)
    return True
