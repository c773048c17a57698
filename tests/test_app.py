"""The command line as a user sees it: help, exit codes, streams."""

import os
import pty
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException

import pplr_cli
from pplr_cli.app import COMMANDS, run
from pplr_cli.errors import DataError, PplrError

PROGRAM = [sys.executable, "-m", "pplr_cli"]
HEAVY = "torch torchvision sklearn scipy numba matplotlib gdown PIL requests jinja2"


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without PPLR_*, with the package on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PPLR_")}
    return {**kept, "PYTHONPATH": str(Path(pplr_cli.__file__).parents[1]), **changes}


def pplr(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


def shell(line: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run a bash line in which `pplr` is the program."""
    program = " ".join(f"'{word}'" for word in PROGRAM)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'pplr() {{ {program} "$@"; }}; {line}'],
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


# help


def test_help_shows_every_command_with_its_example() -> None:
    done = pplr("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, (summary, example, *_) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", done.stdout, re.MULTILINE), name
        assert f"\n    {example}\n" in done.stdout
        assert example.startswith(f"pplr {name} ") or example == f"pplr {name}"
    assert max(map(len, done.stdout.splitlines())) <= 80
    listed = re.search(r"Commands:\n((?:  .+\n)+)", done.stdout)
    assert listed is not None
    assert {line.split()[0] for line in listed[1].splitlines()} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: pplr {name} ")
    for example in COMMANDS[name][1:]:
        assert text.count(f"    {example}\n") == 1
    assert "\\b" not in text
    assert max(map(len, text.splitlines())) <= 80
    description = text.split("\n\n")[1]
    assert re.match(r"  [A-Z].*\.", description, re.DOTALL), "no description"


@pytest.mark.parametrize("arguments", [["--help"], []], ids=["help", "completion"])
def test_the_answer_is_quick_and_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import atexit, sys; from pplr_cli.app import main; atexit.register(lambda: "
        f"print(sorted(set('{HEAVY}'.split()) & set(sys.modules)), file=sys.stderr)); main()"
    )
    line = {"COMP_WORDS": "pplr train --data-dir . --data x", "COMP_CWORD": "5"}
    completing = {} if arguments else {"_PPLR_COMPLETE": "complete_bash", **line}
    seconds = [9.0]
    for _ in range(3):
        if min(seconds) < 1.0:
            break
        start = cpu_seconds_of_children()
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment(**completing),
            capture_output=True,
            text=True,
            check=False,
        )
        seconds.append(cpu_seconds_of_children() - start)
        assert (done.returncode, done.stderr) == (0, "[]\n")
    assert min(seconds) < 1.0


@pytest.mark.parametrize("words", ["", "train", "presets", "presets show"])
def test_help_is_a_command_too(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words.split(), "--help"]) == 0
    expected = capsys.readouterr().out
    assert run(["help", *words.split()]) == 0
    assert capsys.readouterr().out == expected
    assert run(["help", "help", *words.split()]) == 0
    assert capsys.readouterr().out == expected


def cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"pplr {pplr_cli.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["presets"]])
def test_without_a_command_the_help_comes_on_stderr(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: pplr ")


# wrong usage


def test_other_words_for_wrong_usage_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([], failing(TyperException("Nothing fits. (Possible options: a, b)"))) == 2
    assert capsys.readouterr().err == "error: nothing fits\nhint: `pplr --help` shows the usage\n"


# failures


def failing(error: BaseException) -> typer.Typer:
    """An app whose only command raises `error`."""
    cli = typer.Typer()

    @cli.command()
    def command() -> None:
        raise error

    return cli


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PplrError("no"), 1, "error: no\n"),
        (DataError("`a.jpg`: cut", "mend it"), 1, "error: `a.jpg`: cut\nhint: mend it\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(143), 143, ""),
        (typer.Exit(), 0, ""),
        (
            EOFError("cut"),
            1,
            "\nerror: a file ends too early (cut)\nhint: a download may be incomplete; "
            "PPLR_DEBUG=1 shows which file was read\n",
        ),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([], failing(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", text)


def test_failure_of_the_system_is_told_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([], failing(PermissionError(13, "Permission denied", "runs/x"))) == 1
    assert capsys.readouterr().err.startswith("error: `runs/x`: Permission denied\nhint: ")


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run([], failing(ZeroDivisionError()))


@pytest.mark.parametrize(("debug", "traces"), [("", 0), ("0", 0), ("1", 1)])
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["presets", "show", "markt"], "error: `markt`: no such preset\n"),
        (["nothing"], "error: no such command `nothing`\n"),
    ],
)
def test_traceback_only_with_pplr_debug(
    arguments: list[str], line: str, debug: str, traces: int,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("PPLR_DEBUG", debug)
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert min(err.count("Traceback"), 1) == traces
    assert line in err


# streams


def test_reader_that_leaves_is_no_failure() -> None:
    done = shell("pplr presets show market | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("title: Market-1501")


def test_closed_stdout_is_no_failure() -> None:
    done = shell("pplr presets list >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["presets list", "presets show market --json", "--help"])
def test_full_stdout_is_an_error_without_a_traceback(command: str) -> None:
    done = shell(f"pplr {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: No space left on device\nhint: the results are lost\n"
    )


def test_ascii_locale_escapes_what_it_cannot_spell(tmp_path: Path) -> None:
    path = tmp_path / "é.yaml"
    path.write_text("data: {name: größe}\noptim: {lr: 0}\n", encoding="utf-8")
    done = pplr("presets", "show", str(path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 2
    assert "`optim.lr` = `0`: must be greater than 0" in done.stderr
    path.write_text("data: {name: größe}\n", encoding="utf-8")
    done = pplr("presets", "show", str(path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"gr' in done.stdout or "gr\\xf6" in done.stdout


def test_no_codes_without_a_terminal() -> None:
    for done in (pplr("presets", "list"), pplr("nothing")):
        assert "\x1b" not in done.stdout + done.stderr


def on_terminal(*arguments: str, **changes: str) -> str:
    """Run on a pseudo-terminal and return what it shows."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments], env=environment(**changes), stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    shown = b""
    try:
        while piece := os.read(parent, 4096):
            shown += piece
    except OSError:  # Linux: the other side has closed
        pass
    process.wait()
    os.close(parent)
    return shown.decode()


def test_colour_on_a_terminal_unless_unwanted() -> None:
    assert "\x1b[1;31merror: \x1b[0m" in on_terminal("nothing", TERM="xterm-256color")
    assert "\x1b[1;31m" not in on_terminal("nothing", TERM="xterm-256color", NO_COLOR="1")


def test_interrupt_from_the_keyboard_gives_130() -> None:
    program = (
        "import sys, time, typer; from pplr_cli.app import run; cli = typer.Typer()\n"
        "@cli.command()\n"
        "def wait():\n"
        "    print('ready', flush=True); time.sleep(60)\n"
        "sys.exit(run([], cli))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(2)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
