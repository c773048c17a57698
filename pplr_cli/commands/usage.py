"""Explain a wrong command line: Typer's message in our words, and what was probably meant."""

import re
import shlex
from collections.abc import Container, Sequence
from typing import Any

from typer.exceptions import TyperException

from pplr_cli.config.problems import setting_for
from pplr_cli.errors import UsageError
from pplr_cli.text import nearest


def usage_error(
    error: TyperException, arguments: Sequence[str], commands: Container[str]
) -> UsageError:
    """Rewrite Typer's message about a wrong command line, with a hint.

    Args:
        error: of Typer.
        arguments: the words after `pplr`.
        commands: the names of all commands.
    """
    text, _, known = error.format_message().partition(" (Possible options: ")
    text, _, near = text.removesuffix("?").partition(" Did you mean ")
    text = re.sub(r"'([^']*)'", r"`\1`", text).replace("Value error, ", "").rstrip(". ")
    text = re.sub(r"option: (\S+)", r"option `\1`", text).replace("argument(s)", "argument")
    context = getattr(error, "ctx", None)
    command = " ".join(["pplr", *(word for word in arguments[:1] if word in commands)])
    command = context.command_path if context else command
    hint = f"`{command} --help` shows the usage"
    extra = re.fullmatch(r"Got unexpected extra arguments? \((.+)\)", text)
    unknown = re.fullmatch(r"No such option `(-.+)`", text)
    one_of = re.search(r"`([^`]*)` is not one of (.+)", text)
    if extra:
        hint = _for_extra_words(extra[1], arguments, command) or hint
    elif unknown and (corrected := _after_command(unknown[1], arguments, commands)):
        hint = f"options come after the command: `{corrected}`"
    elif unknown and context and (meant := _setting(unknown[1], arguments, context)):
        hint = f"did you mean `{meant}`?"
    elif text == "Missing option `--weights`":
        hint = f"name the file: `{command} --weights FILE`"
    elif one_of:
        hint = nearest(one_of[1], re.findall("`(.+?)`", one_of[2]))
    elif near:
        hint = "did you mean {}?".format(near.replace("'", "`"))
    elif known and (wrong := re.search("`(.+?)`", text)):
        hint = nearest(wrong[1], known.removesuffix(")").split(", "))
    return UsageError(text[:1].lower() + text[1:], hint)


def _after_command(option: str, arguments: Sequence[str], commands: Container[str]) -> str | None:
    """Return the command line with the option after its command, if the option came first."""
    first, *others = arguments
    if first.partition("=")[0] != option or not others or others[0] not in commands:
        return None
    return shlex.join(["pplr", *others, first])


def _for_extra_words(extra: str, arguments: Sequence[str], command: str) -> str | None:
    """Return a hint for words of no option: `--set KEY VALUE`, `--resume FOLDER`, or a preset."""
    for flag, key, word in zip(arguments, arguments[1:], arguments[2:], strict=False):
        if flag == "--set" and extra.startswith(word):
            return f"did you mean `--set {key}={word}`?"
    if "--resume" in arguments:
        folder = shlex.quote(extra.split()[0])
        return f"did you mean `{command} --run-dir {folder} --resume`?"
    return f"did you mean `--preset {extra.split()[0]}`?" if "train" in command else None


def _setting(option: str, arguments: Sequence[str], context: Any) -> str | None:
    """Return the `--set` that someone means by an option such as `--lr 0.1`, if there is one."""
    key = setting_for(option)
    if key is None or not any(each.name == "settings" for each in context.command.params):
        return None
    place = next(n for n, word in enumerate(arguments) if word.split("=")[0] == option)
    given, following = arguments[place].partition("=")[2], arguments[place + 1 : place + 2]
    values = [given] if given else [word for word in following if not word.startswith("-")]
    return f"--set {key}={values[0] if values else '...'}"
