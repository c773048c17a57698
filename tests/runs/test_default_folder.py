"""The run folder where none is named."""

import shutil
from pathlib import Path

import pytest
import yaml

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.errors import UsageError
from pplr_cli.runs.default_folder import FREE, default_folder

SEED = 1
OTHER = "optim.lr=0.1"


def settings(*changes: str) -> Config:
    return presets.resolve("demo", "train", changes)


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "demo-train"


def found(usual: Path, *changes: str, resume: bool = False) -> str:
    return default_folder(usual, settings(*changes), SEED, resume=resume).name


def begin(usual: Path, *changes: str, name: str = "") -> str:
    """Record a run in the folder it gets, or in one of this name."""
    folder = usual.with_name(name or found(usual, *changes))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(*changes).document()))
    return folder.name


def test_runs_with_other_settings_get_other_folders(usual: Path) -> None:
    runs = ([], [OTHER], ["seed=2"], ["seed=2", OTHER], ["optim.epochs=9"], ["seed=3"])
    assert [begin(usual, *changes) for changes in runs] == [
        "demo-train", "demo-train-2", "demo-train-seed2", "demo-train-seed2-2", "demo-train-3",
        "demo-train-seed3",
    ]  # fmt: skip
    for changes in runs:  # each is found again, to be refused, overwritten or resumed
        names = {found(usual, *changes, resume=resume) for resume in (False, True)}
        assert len(names) == 1
    assert found(usual, "optim.lr=0.2") == "demo-train-4"


def test_a_run_whose_numbers_were_chosen_by_auto_keeps_its_folder(usual: Path) -> None:
    auto = ["batch.size=auto", "optim.iters=auto"]
    begin(usual, OTHER)
    begin(usual, "batch.size=24", "optim.iters=8")
    assert found(usual, *auto) == found(usual, *auto, resume=True) == "demo-train-2"
    assert found(usual, *auto, "optim.lr=0.2") == "demo-train-3"


def test_what_cannot_change_a_result_makes_no_other_folder(usual: Path) -> None:
    begin(usual)
    free = ["title=mine", "data.cache=none", "engine.memory_gb=1", "engine.save_minutes=9"]
    assert {each.partition("=")[0] for each in free} == FREE
    assert found(usual, *free) == "demo-train"


def test_a_free_number_is_used_again(usual: Path) -> None:
    for lr in ("0.1", "0.2", "0.3"):
        begin(usual, f"optim.lr={lr}")
    shutil.rmtree(usual.with_name("demo-train-2"))
    assert found(usual, "optim.lr=0.4") == "demo-train-2"
    assert found(usual, "optim.lr=0.3") == "demo-train-3"


def test_folders_of_others_are_left_alone(usual: Path) -> None:
    for name in ("demo-train-cam", "demo-train-mine", "demo-shop-train", "my-demo-train"):
        begin(usual, OTHER, name=name)
    assert found(usual, OTHER) == "demo-train"
    usual.mkdir()
    (usual / "notes.txt").touch()
    assert found(usual) == "demo-train"  # where it is refused


def test_a_lengthened_run_is_found(usual: Path) -> None:
    begin(usual)
    begin(usual, OTHER)
    longer = "optim.epochs=99"
    assert found(usual, OTHER, longer, resume=True) == "demo-train-2"
    assert found(usual, longer, resume=True) == "demo-train"
    assert found(usual, longer) == "demo-train-3"


def test_which_of_several_runs_to_lengthen_is_asked(usual: Path) -> None:
    begin(usual)
    begin(usual, "optim.epochs=9")
    with pytest.raises(UsageError, match=r"demo-train`, `.*demo-train-2`: runs that could") as info:
        found(usual, "optim.epochs=99", resume=True)
    assert info.value.hint == "name one with --run-dir"
    assert found(usual, "optim.epochs=9", resume=True) == "demo-train-2"


def test_a_run_to_resume_that_does_not_exist_gets_the_usual_folder(usual: Path) -> None:
    assert found(usual, resume=True) == "demo-train"
    begin(usual)
    assert found(usual, OTHER, resume=True) == "demo-train"  # where the difference is named
    assert found(usual, "seed=2", resume=True) == "demo-train-seed2"


def test_a_folder_of_an_earlier_version_is_found(usual: Path) -> None:
    """0.1.0 did not append the seed."""
    begin(usual, "seed=2", name="demo-train")
    assert found(usual, "seed=2") == found(usual, "seed=2", resume=True) == "demo-train"
    assert found(usual) == "demo-train-2"


def test_a_damaged_run_is_kept(usual: Path) -> None:
    begin(usual)
    (usual / "config.yaml").write_text("optim: [")
    assert found(usual) == "demo-train-2"
    assert found(usual, resume=True) == "demo-train"
