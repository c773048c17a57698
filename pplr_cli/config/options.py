"""Command-line options, declared once: `size: int = option(3, "Size.")`.

They are fields of a dataclass, or parameters of a command. The signature of the command
(`commands/options.py`) and command lines (`words`) are derived.
"""

from dataclasses import Field, field, fields
from types import EllipsisType
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Option(NamedTuple):
    """How a field reads on the command line."""

    flags: tuple[str, ...]  # such as `--quiet`, `-q`, or `--cache/--no-cache`; none for an argument
    about: dict[str, Any]  # `help`, `min`, `metavar`, `show_default`, as Typer takes them

    def words(self, value: Any) -> list[str]:
        """Return the words that give `value` on a command line."""
        flag = self.flags[:1]
        if isinstance(value, bool):
            return [flag[0].split("/")[0 if value else 1]]
        values = value if isinstance(value, list | tuple) else [value]
        return [word for each in values for word in (*flag, str(each))]


def option(default: T | EllipsisType, text: str, *flags: str, **about: Any) -> T:
    """Declare an option with this default (`...` = required) and help text.

    Its flag is the field's name, unless `flags` have another long one.
    """
    return _field(default, flags, {"help": text, **about})  # type: ignore[no-any-return]


def argument(default: T | EllipsisType, text: str, metavar: str, **about: Any) -> T:
    """Declare an argument with this default (`...` = required) and help text."""
    about = {"help": text, "metavar": metavar, "show_default": False, **about}
    return _field(default, None, about)  # type: ignore[no-any-return]


def _field(default: Any, flags: tuple[str, ...] | None, about: dict[str, Any]) -> Any:
    given = {} if default is ... else {"default": default}
    return field(**given, metadata={"flags": flags, "about": about})


def same_option(request: type, name: str) -> Any:
    """Declare the option that a field of another request is."""
    (wanted,) = (each for each in fields(request) if each.name == name)
    return field(default=wanted.default, metadata=wanted.metadata)


def options_of(request: type) -> dict[str, Option]:
    """Return the option of each field that declares one."""
    return {each.name: as_option(each.name, each) for each in fields(request) if each.metadata}


def as_option(name: str, declared: Field[Any]) -> Option:
    """Return the option that a field or a parameter of this name declares."""
    flags, about = declared.metadata["flags"], declared.metadata["about"]
    if flags is None:
        return Option((), about)
    if not any(flag.startswith("--") for flag in flags):
        flags = (f"--{name.replace('_', '-')}", *flags)
    return Option(flags, about)


def words(request: Any) -> list[str]:
    """Return the words of a command line that makes a request; defaults are left out."""
    found = []
    options = options_of(type(request))
    for each in fields(request):
        value = getattr(request, each.name)
        if each.name in options and value != each.default:
            found += options[each.name].words(value)
    return found
