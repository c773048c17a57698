"""Runs that do not fit into the memory or on the disks of a machine."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pplr_cli import host
from pplr_cli.app import run
from pplr_cli.config import presets
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import PplrError
from pplr_cli.session.plan import Needs, needs
from pplr_cli.session.room import check_room
from tests.shared_reporter import Recorder

GB = 1_000_000_000
Check = Callable[..., Recorder]


@pytest.fixture
def market(tmp_path: Path) -> Callable[..., Needs]:
    """Return the needs of Market-1501, or of a set with other numbers of training images."""

    def found(*settings: str, images: int = 12_936, **more: Any) -> Needs:
        given = [Image(Split.TRAIN, f"{n}.jpg") for n in range(images)]
        manifest = Manifest("market", "market", tmp_path, tuple(given), {})
        return needs(presets.resolve("market", "train", list(settings)), manifest, **more)

    return found


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a check on a machine with this memory and free disk space, in GB."""
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))

    def checked(wanted: Needs, total: float = 8, free: float = 8, disk: float = 100) -> Recorder:
        has = {"total": int(total * GB), "free": int(free * GB)}
        monkeypatch.setattr(host, "memory", lambda: has)
        usage = SimpleNamespace(free=int(disk * GB))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        check_room(wanted, tmp_path / "runs" / "run", reporter := Recorder())
        return reporter

    return checked


def test_market_fits_into_8_gb(check: Check, market: Callable[..., Needs]) -> None:
    assert check(market()).warnings == []
    assert check(market(on_gpu=True), free=1).warnings == []


def test_what_exceeds_only_the_free_memory_is_a_warning(
    check: Check, market: Callable[..., Needs]
) -> None:
    told = check(market(), free=4).warnings
    assert len(told) == 1
    assert "training takes about 6." in told[0]
    assert "4.0 GB are free now" in told[0]


@pytest.mark.parametrize(
    ("settings", "more", "message", "hint"),
    [
        ((), {}, "training takes about 6.", "`--set batch.size=32` takes less"),
        (("data.cache=none",), {"images": 60_000}, "takes about 15.", "data.cache=compact"),
        ((), {"images": 60_000, "cache": False}, "takes about 15.", "leave out `--no-cache`"),
        (
            ("clustering.features=memory",),
            {"images": 300_000, "processes": 2},
            "clustering takes about 22.",
            "clustering.features=disk",
        ),
    ],
)
def test_memory_that_a_machine_lacks_is_an_error(
    check: Check,
    market: Callable[..., Needs],
    settings: tuple[str, ...],
    more: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    with pytest.raises(PplrError, match=r"this machine has 4\.0 GB") as caught:
        check(market(*settings, **more), total=4)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_smaller_batch_from_the_hint_fits(check: Check, market: Callable[..., Needs]) -> None:
    assert check(market("batch.size=32"), total=4, free=4).warnings == []


def test_a_full_disk_is_an_error(
    check: Check, market: Callable[..., Needs], tmp_path: Path
) -> None:
    with pytest.raises(PplrError, match=r"\(the images in the cache 2\.9 GB\), 5\.0 GB") as caught:
        check(market(images=20_000), disk=5)
    assert "--set data.cache=compact" in (caught.value.hint or "")
    with pytest.raises(PplrError, match=r"states and weights 2\.3 GB") as caught:
        check(market(images=100), disk=2)
    assert "--run-dir" in (caught.value.hint or "")
    (tmp_path / "cache" / "images").mkdir(parents=True)
    with (tmp_path / "cache" / "images" / "known.npy").open("wb") as file:
        file.truncate(3 * GB)
    check(market(images=20_000), disk=5)  # there already


def test_a_run_that_does_not_fit_writes_nothing(
    tiny_preset: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(host, "memory", lambda: {"total": 9_000_000, "free": 9_000_000})
    options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
    for more in ([], ["--dry-run"]):
        assert run(["train", *options, "--run-dir", str(tmp_path / "run"), *more]) == 1
        told = capsys.readouterr().err
        needed = r"error: training takes about \d\d\.\d MB of memory, this machine has 9\.0 MB"
        assert re.search(needed, told)
        assert "hint: " in told
        assert not (tmp_path / "run").exists()
