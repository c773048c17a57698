"""Command-line options, declared once as fields of a dataclass: `Annotated[<type>, Option(...)]`.

The signature of the command (`commands/options.py`) and command lines (`words`) are derived.
"""

from dataclasses import fields
from typing import Any, get_type_hints


class Option:
    """How a field reads on the command line.

    Args:
        flags: such as `--quiet`, `-q`, or `--cache/--no-cache`; none for an argument.
        about: `help`, `min`, `metavar`, `show_default`, as Typer takes them.
    """

    def __init__(self, *flags: str, **about: Any) -> None:
        self.flags, self.about = flags, about

    def words(self, value: Any) -> list[str]:
        """Return the words that give `value` on a command line."""
        flag = self.flags[:1]
        if isinstance(value, bool):
            return [flag[0].split("/")[0 if value else 1]]
        values = value if isinstance(value, list | tuple) else [value]
        return [word for each in values for word in (*flag, str(each))]


def options_of(request: type) -> dict[str, Option]:
    """Return the option of each field that declares one."""
    hints = get_type_hints(request, include_extras=True).items()
    marks = {name: getattr(hint, "__metadata__", (None,))[0] for name, hint in hints}
    return {name: mark for name, mark in marks.items() if isinstance(mark, Option)}


def words(request: Any) -> list[str]:
    """Return the words of a command line that makes a request; defaults are left out."""
    found = []
    options = options_of(type(request))
    for each in fields(request):
        value = getattr(request, each.name)
        if each.name in options and value != each.default:
            found += options[each.name].words(value)
    return found
