"""A request and the command line that makes it."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.app import run
from pplr_cli.config import presets
from pplr_cli.errors import UsageError
from pplr_cli.session import start
from pplr_cli.session.request import TrainingRequest

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)
paths = st.none() | words.map(Path)


@st.composite
def requests(draw: st.DrawFn) -> TrainingRequest:
    resume, source = draw(st.booleans()), draw(paths)
    resumes = resume or source is not None
    folder = draw(paths)
    preset = draw(st.sampled_from(["market", "veri"]))
    return TrainingRequest(
        mode=draw(st.sampled_from(["train", "train-cam"])),
        preset=None if resumes and folder and draw(st.booleans()) else preset,
        data=draw(st.none() | st.sampled_from(["veri", "my-own"])),
        data_dir=draw(paths),
        run_dir=folder,
        settings=tuple(draw(st.lists(st.sampled_from(["title=a b'\"", "title=-x", "seed=3"])))),
        answers=draw(paths),
        seed=draw(st.none() | st.integers(0, 2**32 - 1)),
        device=draw(st.sampled_from(["auto", "cpu", "cuda:1"])),
        devices=draw(st.integers(1, 4)),
        precision=draw(st.sampled_from(["fp32", "bf16"])),
        deterministic=draw(st.booleans()),
        workers=draw(st.integers(1, 99)),
        cache=draw(st.booleans()),
        resume=resume,
        resume_from=source,
        allow_inexact=draw(st.booleans()),
        overwrite=draw(st.booleans()) and not resumes,
        quiet=draw(st.booleans()),
        verbose=draw(st.booleans()),
    )


def parsed(arguments: list[str]) -> TrainingRequest:
    """Return the request that `pplr` makes of a command line."""
    found: list[TrainingRequest] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRequest, "config", lambda _: None)  # the folder need not exist
        patch.setattr(start, "run_training", lambda request, *_: found.append(request))
        assert run(arguments) == 0
    return found[0]


@settings(max_examples=50)
@given(requests())
def test_the_words_of_a_request_give_the_same_request(request: TrainingRequest) -> None:
    name, *arguments = shlex.split(request.command())
    assert name == "pplr"
    assert arguments == request.words()
    assert parsed(arguments) == request


@given(requests())
def test_a_request_to_continue_needs_no_settings(request: TrainingRequest) -> None:
    again = request.continued()
    assert again.resume
    assert again.folder == request.folder
    assert not again.overwrite
    told = ("preset", "settings", "seed", "data", "answers")
    assert not any(getattr(again, name) for name in told)
    kept = ("mode", "data_dir", "device", "devices", "precision", "deterministic")
    kept += ("workers", "cache")
    assert all(getattr(again, name) == getattr(request, name) for name in kept)
    assert again.continued() == again


def test_the_usual_is_left_out() -> None:
    request = TrainingRequest("train", "market")
    assert request.command() == "pplr train --preset market"
    assert request.folder == Path("runs/market-train")
    again = "pplr train --run-dir runs/market-train --resume"
    assert request.continued().command() == again


def test_each_data_set_gets_a_run_folder_of_its_own(tiny_preset: Path) -> None:
    assert TrainingRequest("train", "market", "shop").folder == Path("runs/market-shop-train")
    elsewhere = TrainingRequest("train-cam", str(tiny_preset), "shop", run_dir=Path("x"))
    assert elsewhere.folder == Path("x")
    assert replace(elsewhere, run_dir=None).folder == Path("runs/tiny-shop-train-cam")


def test_another_seed_is_part_of_the_run_folder() -> None:
    assert TrainingRequest("train", "demo", seed=2).folder == Path("runs/demo-train-seed2")
    by_setting = TrainingRequest("train", "demo", settings=("seed=3",))
    assert by_setting.folder == Path("runs/demo-train-seed3")
    assert TrainingRequest("train", "demo", seed=1).folder == Path("runs/demo-train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": None}, "missing option `--preset`"),
        ({"preset": None, "resume": True}, "missing option `--preset`"),
        ({"preset": None, "run_dir": Path("x")}, "missing option `--preset`"),
        ({"preset": "a", "resume": True, "overwrite": True}, "exclude each other"),
        ({"preset": "a", "resume_from": Path("x"), "overwrite": True}, "exclude each other"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingRequest("train", **options)


def test_a_run_is_resumed_by_its_folder() -> None:
    with pytest.raises(UsageError) as caught:
        TrainingRequest("train-cam", None, resume=True)
    how = "`pplr train-cam --run-dir DIR --resume` continues the run in DIR"
    assert caught.value.hint == how


def test_a_run_that_is_there_can_be_continued_where_the_preset_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UsageError, match="missing option `--preset`") as caught:
        TrainingRequest("train", None, run_dir=tmp_path)
    assert caught.value.hint == f"name it, or continue the run in `{tmp_path}` with --resume"


def test_the_settings_of_a_run_are_those_it_recorded(tmp_path: Path, tiny_preset: Path) -> None:
    recorded = presets.resolve(str(tiny_preset), "train-cam", ["optim.lr=0.01"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(recorded.document()))
    request = TrainingRequest("train-cam", None, run_dir=tmp_path, resume=True)
    assert request.config() == recorded
    longer = TrainingRequest(
        "train-cam", None, run_dir=tmp_path, resume=True, settings=("optim.epochs=9",), seed=5
    ).config()
    assert (longer.optim.epochs, longer.seed, longer.optim.lr) == (9, 5, 0.01)


def test_a_folder_without_a_run_cannot_be_resumed_without_a_preset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume") as caught:
        TrainingRequest("train", None, run_dir=tmp_path, resume=True).config()
    assert "--preset" in str(caught.value.hint)
