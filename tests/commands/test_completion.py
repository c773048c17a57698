"""Completion, by the protocol of each shell and in bash itself."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pplr_cli
from pplr_cli.app import run
from pplr_cli.commands import completion
from pplr_cli.config import presets
from pplr_cli.config.problems import schemas
from pplr_cli.config.starts import STARTS

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Complete:
    """Return what a shell is answered to a line that ends in `incomplete`."""
    monkeypatch.chdir(tmp_path)

    def lines(line: str, incomplete: str = "", shell: str = "bash") -> list[str]:
        words = ["pplr", *line.split()]
        whole = " ".join([*words, incomplete])
        cut = [part for word in (*words, incomplete) for part in re.split("(=)", word) if part]
        monkeypatch.setenv("_PPLR_COMPLETE", f"complete_{shell}")
        bash = {  # which cuts words at `=`
            "COMP_WORDS": "\n".join(cut),
            "COMP_CWORD": str(len(cut) - bool(incomplete)),
        }
        for name in (*bash, completion.BASH_KEY):
            monkeypatch.delenv(name, raising=False)
        for name, value in bash.items() if shell == "bash" else ():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", whole)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([])
        assert ended.value.code == 0
        return capsys.readouterr().out.strip().splitlines()

    return lines


def test_commands_and_options(complete: Complete) -> None:
    assert complete("", "tr") == ["train", "train-cam"]
    assert complete("train", "--pre") == ["--preset", "--precision"]


def test_presets(complete: Complete) -> None:
    for line in ("train --preset", "evaluate --preset", "presets show", "presets copy"):
        assert complete(line) == presets.names()
    assert complete("train --preset", "ma") == ["market", "market-plus"]


@pytest.mark.parametrize("command", ["train", "train-cam", "evaluate"])
def test_data_sets(complete: Complete, tiny_data: Path, command: str) -> None:
    assert complete(f"{command} --data") == []
    assert complete(f"{command} --data-dir {tiny_data} --data") == ["tiny"]


def test_run_folders(complete: Complete) -> None:
    for name in ("runs/one", "runs/two", "old/one"):
        Path(name).mkdir(parents=True)
        Path(name, "config.yaml").touch()
    Path("runs/none").mkdir()
    for line in ("labels", "review", "compare runs/x", "train --resume --run-dir"):
        assert complete(line) == ["runs/one", "runs/two"]
    assert complete("labels", "runs/t") == ["runs/two"]
    assert complete("labels", "old/") == ["old/one"]


def test_settings(complete: Complete) -> None:
    assert complete("train --preset demo --set", "optim.e") == ["optim.epochs=", "optim.epochs=50"]
    assert complete("presets show demo --set", "optim.lr") == [
        *("optim.lr=", "optim.lr_step=", "optim.lr_factor=", "optim.lr=0.00035")
    ]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_values_of_settings(complete: Complete, shell: str) -> None:
    for file in ("runs/one/best.pth", "runs/one/state.pt", "old/one/last.pth"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()

    def values(line: str, incomplete: str) -> list[str]:
        """Return the first column, without the key that bash keeps and fish expects again."""
        found = [each.split("\t")[0] for each in complete(line, incomplete, shell)]
        key = "" if shell == "bash" else incomplete.partition("=")[0] + "="
        assert all(each.startswith(key) for each in found)
        return [each.removeprefix(key) for each in found]

    known = values("train --set optim.epochs=3 --set", "model.weights=")
    assert {*STARTS, "random", "runs/one/best.pth"} <= {*known}
    assert "runs/one/state.pt" not in known
    assert values("train --set", "model.weights=imagenet-") == ["imagenet-v2"]
    assert values("train --set", "model.weights=old/") == ["old/one/last.pth"]
    assert values("train --set", "clustering.algorithm=h") == ["hdbscan"]
    assert values("train --set", "model.backbone=resnet18_") == ["resnet18_ibn_a"]
    assert values("train --set", "optim.epochs=") == ["50"]
    assert values("train --set", "data.name=") == values("train --set", "none=") == []


def test_weights_and_devices(complete: Complete) -> None:
    Path("runs/one").mkdir(parents=True)
    Path("runs/one/best.pth").touch()
    for line in ("evaluate --weights", "export --weights"):
        assert complete(line) == complete(line, "runs/one/b") == ["runs/one/best.pth"]
    assert complete("download-weights", "market") == ["market", "market-cam"]
    assert complete("train --device", "c")[:2] == ["cpu", "cuda"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_answered_in_its_form(complete: Complete, shell: str) -> None:
    answer = "\n".join(complete("train --set", "optim.", shell))
    assert "optim.epochs=" in answer
    assert (shell != "bash") == (schemas()["optim.epochs"]["description"] in answer)


def test_bash_itself(tmp_path: Path) -> None:
    program = tmp_path / "pplr"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pplr_cli "$@"\n')
    program.chmod(0o755)
    lines = """
        pplr --install-completion
        source ~/.bashrc
        complete -p pplr
        COMP_WORDS=(pplr train --preset m) COMP_CWORD=3
        _pplr_completion pplr m --preset
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", lines],
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(pplr_cli.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "market market-plus msmt17 msmt17-plus"
    assert "-F _pplr_completion pplr" in done.stdout
