"""Unsupervised re-identification by Part-based Pseudo Label Refinement (PPLR, CVPR 2022).

The names in `__all__` are imported when they are first used, so that `import pplr_cli` is quick.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pplr_cli.api import assign, cluster, evaluate, load, prepare, pseudo_labels, search, train
    from pplr_cli.config.fields import Agreement, Clustering, Config
    from pplr_cli.errors import (
        DataError,
        DeviceError,
        PplrError,
        ProcessError,
        StateError,
        StoppedError,
        TrainingError,
        UsageError,
        WeightsError,
    )
    from pplr_cli.progress import Reporter
    from pplr_cli.terminal.console import Console

try:
    __version__ = version("pplr")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = [
    "Agreement",
    "Clustering",
    "Config",
    "Console",
    "DataError",
    "DeviceError",
    "PplrError",
    "ProcessError",
    "Reporter",
    "StateError",
    "StoppedError",
    "TrainingError",
    "UsageError",
    "WeightsError",
    "__version__",
    "assign",
    "cluster",
    "evaluate",
    "load",
    "prepare",
    "pseudo_labels",
    "search",
    "train",
]
_HOMES = ("errors", "progress", "config.fields", "terminal.console", "api")
"""Modules of these names, those without torch first."""


def __getattr__(name: str) -> Any:
    """Import a name of `__all__`."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"pplr_cli.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module `pplr_cli` has no attribute `{name}`")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
