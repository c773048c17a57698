"""The environment variables that pplr reads."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from pplr_cli.errors import UsageError


class Variable(NamedTuple):
    """An environment variable: its name and what it does."""

    name: str
    purpose: str

    def get(self) -> str | None:
        """Return the value; None if it is unset or empty."""
        return os.environ.get(self.name) or None


DATA_DIR = Variable("PPLR_DATA_DIR", "folder of the data sets (default: ./data; --data-dir wins)")
CACHE_DIR = Variable("PPLR_CACHE_DIR", "folder for decoded images and downloads")
DEBUG = Variable("PPLR_DEBUG", "1 shows tracebacks of expected failures")
NO_COLOR = Variable("NO_COLOR", "any value turns colours off")
TIMEOUT = Variable("PPLR_TIMEOUT", "seconds to wait for another process of a run (default: 1800)")
TORCH_HOME = Variable("TORCH_HOME", "folder of torchvision's ImageNet weights")
XDG_CACHE_HOME = Variable("XDG_CACHE_HOME", "the user's cache folder (default: ~/.cache)")

WANDB_PROJECT = Variable("WANDB_PROJECT", "project of --log wandb (default: pplr)")
MLFLOW_EXPERIMENT_NAME = Variable(
    "MLFLOW_EXPERIMENT_NAME", "experiment of --log mlflow (default: pplr)"
)

ALL = tuple(each for each in list(globals().values()) if isinstance(each, Variable))


def data_dir(option: Path | None = None) -> Path:
    """Return the data folder: `--data-dir`, else PPLR_DATA_DIR, else ./data."""
    return (option or Path(DATA_DIR.get() or "data")).expanduser()


def cache_dir() -> Path:
    """Return the cache folder: PPLR_CACHE_DIR, else the platform's cache folder of the user."""
    import platformdirs

    return Path(CACHE_DIR.get() or platformdirs.user_cache_dir("pplr")).expanduser()


def torch_home() -> Path:
    """Return torch's cache folder, found as torch does: TORCH_HOME, else the user's cache."""
    cache = Path(XDG_CACHE_HOME.get() or "~/.cache")
    return Path(TORCH_HOME.get() or cache / "torch").expanduser()


def process_timeout() -> float:
    """Return the seconds after which a process that does not answer counts as hanging.

    Raises:
        UsageError: the variable is not a number of seconds.
    """
    text = TIMEOUT.get() or "1800"
    if not re.fullmatch(r"\d{1,6}", text) or int(text) == 0:
        raise UsageError(
            f"`{TIMEOUT.name}` = `{text}`: must be a number of seconds", "such as 1800"
        )
    return float(text)
