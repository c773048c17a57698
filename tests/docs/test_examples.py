"""Runs the commands in the examples of all pages and compares their output with the pages.

An example is a fenced block that begins with `$ `. Before the comparison, numbers, image names, the
home folder and gaps get one form, and repeated lines count once. A line `...` on the page matches
any number of lines.
"""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pplr_cli import env
from pplr_cli.export.choice import Format
from pplr_cli.export.formats import PACKAGES
from tests.docs import pages

HOME = "/home/me"
"""The working directory in the examples."""

ALIKE = {
    r"\b1 (epoch|evaluation)\b": r"N \1s",
    r"\d+_c\d+_\d+\.jpg": "IMAGE",
    r"\b[0-9a-f]{12}\b": "DIGEST",
    r"(?<![\w.-])(\d{1,3}(,\d{3})+|\d+)(\.\d+)*(e[+-]?\d+)?": "N",
    r"\bN (bytes|kB|MB|GB)\b": "N MB",
    r"[ ]+": " ",
}
"""Patterns of what differs between runs, and what replaces it."""


class Example(NamedTuple):
    """The commands of one block and their output on the page."""

    page: str
    steps: tuple[tuple[str, str], ...]


def examples() -> Iterator[Example]:
    for path in sorted(pages.DOCS.glob("*.md")):
        for block in pages.blocks(path.name, ""):
            if block.startswith("$ "):
                found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
                yield Example(path.name, tuple(found))


EXAMPLES = list(examples())


class Workshop:
    """A user's home with a data set and crops, where each command runs once.

    Training runs at tiny size. An image that does not exist is replaced by one of its folder.
    """

    def __init__(self, home: Path, tiny_data: Path) -> None:
        self.home = home
        self._told: dict[str, tuple[int, str]] = {}
        pages.plant_demo(tiny_data, home / "data")
        shutil.copytree(home / "data" / "demo" / "images" / "train", home / "crops")

    def told(self, command: str) -> tuple[int, str]:
        """Return the exit code and the output of a command."""
        if command.startswith("pplr export"):
            for package in (*PACKAGES[Format.ONNX], *PACKAGES[Format.SAFETENSORS]):
                pytest.importorskip(package)
        if command not in self._told:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(self.home)
                for variable in env.ALL:
                    patch.delenv(variable.name, raising=False)
                patch.setenv("HOME", str(self.home))
                self._told[command] = self._run(command)
        return self._told[command]

    def _run(self, command: str) -> tuple[int, str]:
        if not command.startswith("pplr "):
            done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr
        words = shlex.join(self._there(word) for word in shlex.split(command))
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = pages.follow(words)
        return code, said.getvalue()

    def _there(self, word: str) -> str:
        image = Path(word)
        if image.suffix != ".jpg" or image.exists():
            return word
        return str(min(image.parent.glob("*.jpg")))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("me"), tiny_data)
    assert made.told("pplr train --preset demo")[0] == 0
    return made


def forms(said: str) -> list[str]:
    """Return the forms of the lines, each once (`...` as often as it stands there)."""
    for pattern, alike in ALIKE.items():
        said = re.sub(pattern, alike, said)
    lines = [line.rstrip() for line in said.splitlines()]
    return [line for n, line in enumerate(lines) if line == "..." or line not in lines[:n]]


def fits(expected: list[str], found: list[str]) -> bool:
    patterns = [r"(.*\n)*?" if line == "..." else re.escape(f"{line}\n") for line in expected]
    return re.fullmatch("".join(patterns), "".join(f"{line}\n" for line in found)) is not None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.page}: {e.steps[0][0]}")
def test_example(example: Example, workshop: Workshop) -> None:
    for command, promised in example.steps:
        code, said = workshop.told(command)
        assert (code != 0) == ("error: " in promised), said
        found = forms(said.replace(str(workshop.home), HOME))
        if not fits(forms(promised), found):
            assert found == forms(promised), f"`{command}`:\n{said}"  # shows the difference


def test_the_program_that_uses_an_exported_file(workshop: Workshop) -> None:
    assert workshop.told("pplr export --weights runs/demo-train/best.pth --to model.onnx")[0] == 0
    for name, crop in zip("ab", sorted((workshop.home / "crops").glob("*.jpg")), strict=False):
        shutil.copy(crop, workshop.home / f"{name}.jpg")
    (program,) = pages.blocks("export.md", "python")
    run = [sys.executable, "-c", program]
    said = subprocess.run(run, cwd=workshop.home, capture_output=True, text=True, check=True).stdout
    assert 0 < float(said) < 2


def test_every_command_has_an_example() -> None:
    from tests.docs.test_options import COMMANDS

    shown = [command for example in EXAMPLES for command, _ in example.steps]
    assert not [c for c in COMMANDS if not any(f"{s} ".startswith(f"pplr {c} ") for s in shown)]


def test_the_comparison_sees_words_columns_and_fields() -> None:
    row = forms("demo  mAP  rank-1\nbest.pth  83.0  93.4\n")
    assert row == forms("demo mAP   rank-1\nbest.pth   7.9  100.0\n")
    assert row != forms("demo  mAP  rank-5\nbest.pth  83.0  93.4\n")
    assert row != forms("demo  mAP  rank-1\nbest.pth  83.0\n")
    assert fits(forms("a 1\n...\nc 2\n"), forms("a 7\nb\nb 8\nc 9\n"))
    assert not fits(forms("a 1\n...\nc 2\n"), forms("a 7\nb\n"))
