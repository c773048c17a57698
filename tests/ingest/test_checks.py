"""Images that were checked before are not read again, and no change is overlooked."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pplr_cli.data.manifest import FILE_NAME
from pplr_cli.errors import DataError
from pplr_cli.ingest import checks, integrity
from pplr_cli.ingest.library import prepare
from pplr_cli.ingest.prepare import Prepared
from pplr_cli.ingest.request import PrepareRequest
from tests.shared_reporter import Recorder

OLD = 1_700_000_000


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "MANY", 2)
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Five crops: one of them small, one of a single colour."""
    rng = np.random.default_rng(0)
    for number in range(5):
        size = (30, 10) if number == 3 else (30, 20)
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        write(tmp_path / "crops" / f"é{number}.png", pixels * (number != 4))
    return tmp_path / "crops"


def write(path: Path, pixels: np.ndarray, moment: int = OLD) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    os.utime(path, (moment, moment))


def link(crops: Path, reporter: Recorder | None = None) -> Prepared:
    request = PrepareRequest("folder", (crops,), crops.parent / "data", name="set", link=True)
    return prepare(request, reporter or Recorder())


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    calls: list[object] = []
    original = integrity.decode_opened

    def counted(file: object, **more: object) -> object:
        calls.append(file)
        return original(file, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(integrity, "decode_opened", counted)
    return calls


def test_a_second_run_reads_no_image_and_finds_the_same(
    crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = link(crops)
    calls, reporter = decoded(monkeypatch), Recorder()
    again = link(crops, reporter)
    assert calls == []
    assert again.manifest == first.manifest
    assert again.warnings == first.warnings
    assert len(again.warnings) == 2  # a small image, one of a single colour
    assert "unchanged since they were checked: 5 images" in reporter.news


def test_only_what_changed_is_read_again(crops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = link(crops)
    path = crops / "é1.png"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")  # as long, and as old
    os.utime(path, (OLD, OLD))
    (crops / "é0.png").unlink()
    write(crops / "new.png", np.full((30, 20, 3), 9, np.uint8))
    calls = decoded(monkeypatch)
    again = link(crops)
    assert len(calls) == 2
    assert set(again.manifest.paths) == {"new.png", *(f"é{n}.png" for n in (1, 2, 3, 4))}
    assert again.manifest.contents["é1.png"] != first.manifest.contents["é1.png"]
    assert again.manifest.contents["é2.png"] == first.manifest.contents["é2.png"]


def test_files_that_may_still_change_are_read_again(
    crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (crops / "é1.png").touch()
    link(crops)
    calls = decoded(monkeypatch)
    link(crops)
    assert len(calls) == 1


def test_an_interrupted_check_continues(crops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quality, done = integrity._quality, []

    def interrupted(image: Image.Image) -> int:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(image)
        return quality(image)

    monkeypatch.setattr(integrity.host, "cores", lambda: 1)
    monkeypatch.setattr(integrity, "_quality", interrupted)
    with pytest.raises(KeyboardInterrupt):
        link(crops)
    monkeypatch.setattr(integrity, "_quality", quality)
    calls = decoded(monkeypatch)
    link(crops)
    assert len(calls) == 2


def test_results_are_saved_while_a_check_goes_on(
    crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[object] = []
    monkeypatch.setattr(checks, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(checks.Checks, "save", lambda self: saved.append(self))
    link(crops)
    assert len(saved) == 6


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"])
def test_damaged_results_are_ignored(
    crops: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = link(crops)
    (kept,) = (tmp_path / "cache" / "checks").iterdir()
    kept.write_bytes(content)
    calls = decoded(monkeypatch)
    assert link(crops).manifest == first.manifest
    assert len(calls) == 5


def test_few_images_are_always_read(crops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MANY", 6)
    link(crops)
    calls = decoded(monkeypatch)
    link(crops)
    assert len(calls) == 5


def test_broken_images_stay_an_error(crops: Path) -> None:
    write(crops / "a.png", np.zeros((30, 20, 3), np.uint8))
    (crops / "a.png").write_bytes(b"none")
    os.utime(crops / "a.png", (OLD, OLD))
    for _ in range(2):
        with pytest.raises(DataError, match="1 of 6 image files cannot be used"):
            link(crops)
    assert not (crops.parent / "data" / "set" / FILE_NAME).exists()
