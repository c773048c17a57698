"""The environment variables that pplr reads, all in one place."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pplr_cli.errors import UsageError


@dataclass(frozen=True)
class Variable:
    """One environment variable: its name and what it does."""

    name: str
    purpose: str

    def get(self) -> str | None:
        """Return the value, or None where it is unset or empty."""
        return os.environ.get(self.name) or None


DATA_DIR = Variable("PPLR_DATA_DIR", "where data sets live (default: ./data; --data-dir wins)")
CACHE_DIR = Variable("PPLR_CACHE_DIR", "where decoded images and downloads are kept")
DEBUG = Variable("PPLR_DEBUG", "1 shows tracebacks of expected failures")
NO_COLOR = Variable("NO_COLOR", "any value turns colours off")
TIMEOUT = Variable("PPLR_TIMEOUT", "seconds to wait for another process of a run (default: 1800)")
TORCH_HOME = Variable("TORCH_HOME", "where torchvision keeps ImageNet weights")
XDG_CACHE_HOME = Variable("XDG_CACHE_HOME", "the user's cache folder (default: ~/.cache)")

ALL = (DATA_DIR, CACHE_DIR, DEBUG, NO_COLOR, TIMEOUT, TORCH_HOME, XDG_CACHE_HOME)


def data_dir(option: Path | None = None) -> Path:
    """Return the data folder: `--data-dir`, else PPLR_DATA_DIR, else ./data."""
    return (option or Path(DATA_DIR.get() or "data")).expanduser()


def cache_dir() -> Path:
    """Return the cache folder: PPLR_CACHE_DIR, else the platform's cache folder of the user."""
    import platformdirs

    return Path(CACHE_DIR.get() or platformdirs.user_cache_dir("pplr")).expanduser()


def torch_home() -> Path:
    """Return torch's own cache folder by torch's own rule: TORCH_HOME, else the user's cache."""
    cache = Path(XDG_CACHE_HOME.get() or "~/.cache")
    return Path(TORCH_HOME.get() or cache / "torch").expanduser()


def debug() -> bool:
    """Tell whether expected failures shall show their traceback."""
    return DEBUG.get() == "1"


def process_timeout() -> float:
    """Return the seconds after which a process that does not answer counts as hanging.

    Raises:
        UsageError: the variable holds no number.
    """
    text = TIMEOUT.get() or "1800"
    if not re.fullmatch(r"\d{1,6}", text) or int(text) == 0:
        raise UsageError(
            f"`{TIMEOUT.name}` = `{text}`: must be a number of seconds", "such as 1800"
        )
    return float(text)
