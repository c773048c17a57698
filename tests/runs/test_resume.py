"""With which settings, data and surroundings a saved state may be continued."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import save_state
from pplr_cli.errors import DataError, StateError, UsageError
from pplr_cli.runs import resume
from pplr_cli.runtime import Runtime
from tests.shared_reporter import Recorder

FACTS = {"data": "0a", "processes": 1, "precision": "fp32", "threads": 2, "torch": "2.10"}

FOLDER = Path("runs/a b")


@pytest.fixture
def config(tiny_preset: Path) -> Config:
    return presets.resolve(str(tiny_preset), "train")


def state(config: Config, **more: Any) -> dict[str, Any]:
    about = {"mode": "train", "settings": config.document()}
    return {"about": about, "facts": FACTS, "epoch": 1, "current": None, **more}


def check(
    saved: dict[str, Any], config: Config, mode: Any = "train", *, inexact: bool = False, **now: Any
) -> Recorder:
    heard = Recorder()
    resume.check(FOLDER, saved, config, mode, FACTS | now, heard, allow_inexact=inexact)
    return heard


def newest(folder: Path, heard: Recorder) -> Any:
    """Return the epoch of the newest state."""
    state = resume.find_state(folder, None, heard)
    assert state is not None
    return state["epoch"]


def test_the_same_run_goes_on_without_a_word(config: Config) -> None:
    heard = check(state(config), config)
    assert heard.news == heard.warnings == []


def test_every_changed_setting_is_named_by_its_dotted_key(
    config: Config, tiny_preset: Path
) -> None:
    other = presets.resolve(str(tiny_preset), "train", ["optim.lr=0.01", "clustering.eps=0.5"])
    with pytest.raises(UsageError) as caught:
        check(state(config), other)
    assert caught.value.exit_code == 2
    assert caught.value.message.splitlines() == [
        "`runs/a b`: the run began with other settings:",
        "  `clustering.eps` was 0.6, is 0.5",
        "  `optim.lr` was 0.00035, is 0.01",
    ]
    own = "`pplr train --run-dir 'runs/a b' --resume`, without --preset, --set and --seed, takes"
    assert own in str(caught.value.hint)


def test_what_cannot_change_a_result_may_change(tiny_preset: Path, config: Config) -> None:
    free = ["title=other", "data.cache=none", "engine.memory_gb=1", "engine.save_minutes=1"]
    assert {setting.partition("=")[0] for setting in free} == resume.FREE
    heard = check(state(config), presets.resolve(str(tiny_preset), "train", free))
    assert heard.news == heard.warnings == []


@pytest.mark.parametrize(
    ("epochs", "current", "news"),
    [
        (5, None, ["the run is lengthened: `optim.epochs` was 2, is 5"]),
        (1, None, ["the run is shortened: `optim.epochs` was 2, is 1"]),
        (1, {"steps": []}, None),
    ],
)
def test_the_epochs_may_change_down_to_those_begun(
    tiny_preset: Path, config: Config, epochs: int, current: Any, news: list[str] | None
) -> None:
    other = presets.resolve(str(tiny_preset), "train", [f"optim.epochs={epochs}"])
    saved = state(config, current=current)
    if news is not None:
        assert check(saved, other).news == news
        return
    with pytest.raises(UsageError, match=r"`optim\.epochs` was 2, is 1") as caught:
        check(saved, other)
    assert "cannot be shortened below the epochs that it has begun (2)" in caught.value.message
    least = "pplr train --run-dir 'runs/a b' --resume --set optim.epochs=2"
    assert f"`{least}`, or more;" in str(caught.value.hint)


def test_too_few_epochs_and_another_setting_are_both_named(
    tiny_preset: Path, config: Config
) -> None:
    other = presets.resolve(str(tiny_preset), "train", ["optim.epochs=1", "optim.lr=0.01"])
    with pytest.raises(UsageError) as caught:
        check(state(config, epoch=2), other)
    assert caught.value.message.splitlines()[1:] == [
        "  `optim.epochs` was 2, is 1",
        "  `optim.lr` was 0.00035, is 0.01",
        "  a run cannot be shortened below the epochs that it has begun (2)",
    ]
    assert "--run-dir 'runs/a b' --resume`" in str(caught.value.hint)


def test_a_mistyped_folder_is_reported_before_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "demo-train").mkdir()
    (tmp_path / "demo-train" / "config.yaml").touch()
    heard = Recorder()
    assert resume.find_state(tmp_path / "demo-trian", None, heard) is None
    begins = "no run to resume, no saved state yet; starting from the beginning"
    hint = f"did you mean `{tmp_path / 'demo-train'}`?"
    assert heard.warnings == [f"`{tmp_path / 'demo-trian'}`: {begins}; {hint}"]
    assert resume.find_state(tmp_path / "demo-train", None, heard) is None
    assert len(heard.warnings) == len(heard.news) == 1


def test_a_setting_that_an_older_pplr_did_not_know_has_its_default(config: Config) -> None:
    saved = state(config)
    del saved["about"]["settings"]["engine"]["save_minutes"]
    del saved["about"]["settings"]["title"]
    assert check(saved, config).news == []


def test_the_other_mode_is_refused(config: Config) -> None:
    with pytest.raises(UsageError, match="this is a run of `pplr train`") as caught:
        check(state(config), config, "train-cam")
    assert caught.value.exit_code == 2


def test_changed_data_are_refused(config: Config) -> None:
    with pytest.raises(DataError, match="data set `tiny` has changed") as caught:
        check(state(config), config, data="0b", inexact=True)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("key", "value"), [("torch", "2.11"), ("threads", 8), ("device", "gpu")])
def test_other_versions_and_machines_are_told(config: Config, key: str, value: Any) -> None:
    heard = check(state(config), config, **{key: value})
    assert len(heard.warnings) == 1
    assert (
        f"({key} {FACTS.get(key)} -> {value}); the run continues, but not bit by bit"
        in (heard.warnings[0])
    )


@pytest.mark.parametrize(("key", "value"), [("processes", 4), ("precision", "bf16")])
def test_other_numbers_must_be_asked_for(config: Config, key: str, value: Any) -> None:
    with pytest.raises(StateError, match=f"{key} {FACTS[key]} -> {value}") as caught:
        check(state(config), config, **{key: value})
    assert caught.value.exit_code == 1
    assert "--allow-inexact" in str(caught.value.hint)
    assert (
        "not bit by bit" in check(state(config), config, inexact=True, **{key: value}).warnings[0]
    )


def test_facts_tell_what_the_data_are(tiny_data: Path) -> None:
    manifest = Manifest.load(tiny_data / "tiny" / "manifest.json")
    found = manifest.split(Split.TRAIN)
    pixels = np.zeros((len(found), 4, 2, 3), np.uint8)
    images = TrainingImages(ImageStore(pixels), found.cameras, found.paths)
    facts = resume.facts(manifest, images, Runtime())
    assert facts == resume.facts(manifest, images, Runtime())
    assert facts["threads"] == torch.get_num_threads()
    assert (facts["processes"], facts["precision"]) == (1, "fp32")
    pixels[3, 1, 1, 1] = 1
    assert resume.facts(manifest, images, Runtime())["data"] != facts["data"]


def test_a_damaged_state_is_put_aside_and_both_are_named(tmp_path: Path) -> None:
    for epoch in (1, 2):
        save_state({"epoch": epoch}, tmp_path / "state.pt")
    assert newest(tmp_path, Recorder()) == 2
    (tmp_path / "state.pt").write_bytes(b"damaged")
    heard = Recorder()
    assert newest(tmp_path, heard) == 1
    assert f"`{tmp_path / 'state.pt'}`: damaged" in heard.warnings[0]
    assert f"resuming from `{tmp_path / 'state.previous.pt'}`" in heard.warnings[0]
    assert (tmp_path / "state.damaged.pt").read_bytes() == b"damaged"
    assert not (tmp_path / "state.pt").exists()
    quiet = Recorder()
    assert newest(tmp_path, quiet) == 1
    assert "state.pt` is missing; resuming from" in quiet.warnings[0]


def test_other_answers_are_refused(config: Config) -> None:
    assert not check(state(config, facts=FACTS | {"answers": "ab"}), config, answers="ab").warnings
    with pytest.raises(UsageError, match="without answers") as caught:
        check(state(config), config, answers="ab")
    assert "answers-used.csv" not in str(caught.value.hint)
    new = "`--set 'model.weights=runs/a b/last.pth' --answers FILE --run-dir NEW`"
    assert f"start a new run from its weights: {new}" in str(caught.value.hint)
    for now in ({"answers": "cd"}, {}):
        with pytest.raises(UsageError, match="with other answers") as caught:
            check(state(config, facts=FACTS | {"answers": "ab"}), config, **now)
        assert "restore `runs/a b/answers-used.csv`" in str(caught.value.hint)
