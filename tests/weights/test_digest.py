"""SHA-256 records beside weights files."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from pplr_cli.errors import WeightsError
from pplr_cli.weights.digest import check_sha256, file_sha256, holds_record, write_record

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.pth"
    path.write_bytes(CONTENT)
    return path


def test_sha256_of_a_file(file: Path) -> None:
    assert file_sha256(file) == SHA256


@pytest.mark.parametrize("expected", [SHA256, SHA256[:8]])
def test_right_content(file: Path, expected: str) -> None:
    check_sha256(file, expected, "a.pth", "")


@pytest.mark.parametrize("expected", [SHA256[1:], SHA256 + "0", "", "00"])
def test_wrong_content_names_both(file: Path, expected: str) -> None:
    with pytest.raises(WeightsError) as caught:
        check_sha256(file, expected, "b.pth", "way out")
    more = "..." if len(expected) < 64 else ""
    assert caught.value.message == (
        f"`b.pth`: wrong content: SHA-256 is {SHA256}, expected {expected}{more}"
    )
    assert caught.value.hint == "way out"


def test_without_a_record_nothing_is_known(file: Path) -> None:
    assert holds_record(file, "") is False


def test_record_is_what_sha256sum_reads_and_writes(file: Path) -> None:
    write_record(file)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "a.pth.sha256"], cwd=file.parent, check=True
    )
    assert holds_record(file, "")
    theirs = subprocess.run(
        ["sha256sum", "a.pth"], cwd=file.parent, check=True, capture_output=True
    )
    assert (file.parent / "a.pth.sha256").read_bytes() == theirs.stdout


@pytest.mark.parametrize("text", [SHA256, SHA256.upper() + " *a.pth\r\n"])
def test_records_of_others(file: Path, text: str) -> None:
    (file.parent / "a.pth.sha256").write_text(text)
    assert holds_record(file, "")


def test_changed_file_and_changed_record(file: Path) -> None:
    write_record(file)
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="wrong content"):
        holds_record(file, "")
    for text in (b"", b"\xff\xfe", SHA256[:-1].encode(), (SHA256 + "0").encode()):
        (file.parent / "a.pth.sha256").write_bytes(text)
        with pytest.raises(WeightsError, match=r"a\.pth\.sha256`: holds no SHA-256"):
            holds_record(file, "")
