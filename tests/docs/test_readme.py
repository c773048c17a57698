"""The README: its length, links, commands and Python example."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import pplr_cli
from pplr_cli.app import app
from pplr_cli.session.request import TrainingRequest
from tests.docs.pages import DOCS, SMALL, plant_demo

PAGE = (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_it_stays_short() -> None:
    assert len(PAGE.splitlines()) <= 150


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (DOCS.parent / target).is_file(), target


def test_every_command_has_the_options_that_it_shows() -> None:
    commands = re.findall(r"(?:^|&& |`)(pplr [a-z][^`\n]*)", PAGE, re.MULTILINE)
    assert len(commands) > 20
    program = typer.main.get_command(app)
    for line in commands:
        command, words = program, shlex.split(line)[1:]
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_no_two_trainings_share_a_run_folder() -> None:
    rows = re.findall(r"^\| `pplr (train[^`]*)` \|", PAGE, re.MULTILINE)
    folders = set()
    for mode, *words in map(str.split, rows):
        given = dict(zip(words[::2], words[1::2], strict=True))
        seed = int(given["--seed"]) if "--seed" in given else None
        folders.add(TrainingRequest(mode, given["--preset"], seed=seed).folder)
    assert len(folders) == len(rows) == 4


def test_the_python_example(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PPLR_DATA_DIR", raising=False)
    plant_demo(tiny_data, tmp_path / "data")
    crops = sorted((tmp_path / "data" / "demo").rglob("*.jpg"))
    for name, crop in zip("ab", crops, strict=False):
        shutil.copy(crop, f"{name}.jpg")
    tiny = {key: yaml.safe_load(value) for key, value in (setting.split("=") for setting in SMALL)}
    train = pplr_cli.train

    def train_tiny(*args: Any, overrides: dict[str, Any], **options: Any) -> Any:
        return train(*args, overrides=overrides | tiny, **options)

    monkeypatch.setattr(pplr_cli, "train", train_tiny)
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(program, {})
    similarities = re.findall(r"-?\d\.\d*", capsys.readouterr().out)
    assert [float(value) for value in similarities][::3] == pytest.approx([1, 1], abs=1e-4)
    assert (tmp_path / "runs" / "python" / "report.html").is_file()
