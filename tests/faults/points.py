"""The points of `pplr` at which the tests make it fail, by name, and how a fault is injected."""

import importlib
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

POINTS = {
    "extract": ("pplr_cli.engine.trainer", "extract"),
    "cluster": ("pplr_cli.labelling.stage", "cluster"),
    "begin epoch": ("pplr_cli.engine.pplr", "PPLR.begin_epoch"),
    "step": ("pplr_cli.engine.graph", "train_step"),
    "losses": ("pplr_cli.engine.pplr", "PPLR.losses"),
    "evaluate": ("pplr_cli.retrieval.evaluator", "evaluate"),
    "record": ("pplr_cli.runs.folder", "csv_text"),
    "save weights": ("pplr_cli.session.recorder", "save_weights"),
    "write": ("pplr_cli.engine.checkpoint", "_put"),
    "fsync": ("os", "fsync"),
    "rename": ("os", "replace"),
}
"""Module and attribute of each point. The tests know the names only."""


class Fault(NamedTuple):
    """One fault.

    Attributes:
        point: a name of `POINTS`.
        call: the call that fails, counted from 1; 0 = every call.
        what: a name of `zygote.BEFORE` or `zygote.AFTER`.
    """

    point: str
    call: int
    what: str


def find(point: str) -> tuple[Any, str, Callable[..., Any]]:
    """Return the owner of a point, its name there, and the function."""
    module, attribute = POINTS[point]
    *path, name = attribute.split(".")
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    return owner, name, getattr(owner, name)


def inject(
    fault: Fault, before: Callable[[], None] | None, after: Callable[..., Any] | None
) -> None:
    """Call `before` ahead of a call of the point, and let `after` replace what it returns.

    `after` gets the result and the arguments of the call.
    """
    owner, name, original = find(fault.point)
    calls = count(1)

    def faulty(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == fault.call or fault.call == 0
        if now and before is not None:
            before()
        result = original(*arguments, **options)
        return after(result, *arguments) if now and after is not None else result

    setattr(owner, name, faulty)
