"""The pages describe every option of every command and every environment variable."""

import re

import pytest
from typer.testing import CliRunner

from pplr_cli import env
from pplr_cli.app import app
from tests.docs import pages

COMMANDS = {
    "prepare": "prepare.md",
    "train": "train.md",
    "train-cam": "train.md",
    "evaluate": "evaluate.md",
    "search": "search.md",
    "embed": "embed.md",
    "cluster": "identities.md",
    "assign": "identities.md",
    "labels": "labels.md",
    "runs": "records.md",
    "compare": "records.md",
    "review": "review.md",
    "export": "export.md",
    "download-weights": "weights.md",
    "presets list": "presets.md",
    "presets show": "presets.md",
    "presets copy": "presets.md",
    "doctor": "doctor.md",
}
"""Each command's page."""


def shown(*command: str) -> str:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    return done.stdout


def test_all_commands_are_here() -> None:
    def listed(*group: str) -> set[str]:
        lines = shown(*group).partition("Commands:\n")[2].partition("\n\n")[0]
        return set(re.findall(r"^  ([a-z-]+) ", lines, re.MULTILINE))

    known = listed() - {"presets"} | {f"presets {name}" for name in listed("presets")}
    assert known == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command: str) -> None:
    options = re.findall(
        r"^  (?:-\w, )?(--[a-z-]+)(?: / (--[a-z-]+))?", shown(*command.split()), re.M
    )
    named = {name for pair in options for name in pair if name} - {"--help"}
    explained = set(re.findall(r"`(--[a-z-]+)", pages.text(COMMANDS[command])))
    assert named or command == "presets copy"
    assert sorted(named - explained) == []


def test_every_environment_variable_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", pages.text("train.md"), re.MULTILINE)
    assert [variable.name for variable in env.ALL if variable.name not in rows] == []
