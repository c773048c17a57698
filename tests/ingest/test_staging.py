import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pplr_cli.errors import DataError
from pplr_cli.ingest.staging import staged

HOLD = """
import sys, time
from pathlib import Path
from pplr_cli.ingest.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print("ready", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def hold(final: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(final)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_whole_folder_takes_its_final_name(tmp_path: Path) -> None:
    with staged(tmp_path / "new" / "set") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "new" / "set").exists()
    assert names(tmp_path / "new") == ["set"]
    assert names(tmp_path / "new" / "set") == ["file"]


def test_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with staged(tmp_path / "set") as folder:
            (folder / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []


def test_a_discarded_one_leaves_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").touch()
    with staged(tmp_path / "set") as folder:
        shutil.rmtree(folder)
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["old"]


def test_a_killed_run_leaves_nothing_under_the_final_name_and_the_next_cleans_up(
    tmp_path: Path,
) -> None:
    process = hold(tmp_path / "set")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path / ".set.staging") == ["half"]
    assert not (tmp_path / "set").exists()
    with staged(tmp_path / "set") as folder:
        (folder / "whole").touch()
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["whole"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    process = hold(tmp_path / "set")
    try:
        with pytest.raises(DataError, match="another pplr"), staged(tmp_path / "set"):
            pass
        with staged(tmp_path / "other"):
            pass
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("step", ["mkdir", "rename"])
def test_another_process_is_kept_out_from_the_first_step_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Right after the folder is made, and right before it is renamed, another one tries."""
    real = getattr(Path, step)
    refusals: list[str] = []

    def intrude() -> None:
        command = [sys.executable, "-c", HOLD.replace("60", "0"), str(tmp_path / "set")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        refusals.append(done.stderr)

    def watched(self: Path, *given: object, **options: object) -> object:
        concerned = self.suffix == ".staging"
        if concerned and step == "rename":
            intrude()
        result = real(self, *given, **options)
        if concerned and step == "mkdir":
            intrude()
        return result

    monkeypatch.setattr(Path, step, watched)
    with staged(tmp_path / "set") as folder:
        (folder / "whole").touch()
    assert ["another pplr is preparing it" in text for text in refusals] == [True]
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["whole"]
