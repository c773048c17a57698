"""Settings as a preset file in which every field has its description."""

from collections.abc import Iterator, Mapping
from typing import Any

from pplr_cli.config.fields import Config
from pplr_cli.config.presets import CAMERA, scalar
from pplr_cli.config.problems import schemas

COMMENT_COLUMN = 32


def differences(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `other` that differ from `base`, block by block."""
    found: dict[str, Any] = {}
    for key, value in other.items():
        if isinstance(value, dict):
            inner = differences(base[key], value)
            found |= {key: inner} if inner else {}
        elif value != base[key]:
            found[key] = value
    return found


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping by dotted key; empty ones are values."""
    items = enumerate(values) if isinstance(values, list) else values.items()
    found: dict[str, Any] = {}
    for key, value in items:
        nested = isinstance(value, dict | list) and value
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def annotated(config: Config, camera: Mapping[str, Any] | None = None) -> str:
    """Return `config` as a preset file, with `camera` as its block for train-cam."""
    values = config.document() | ({CAMERA: dict(camera)} if camera else {})
    return "\n".join(_lines(values)) + "\n"


def _lines(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name, value in values.items():
        if isinstance(value, dict):
            about = "what train-cam changes" if name == CAMERA else ""
            yield _line(f"{indent}{name}:", about)
            yield from _lines(value, f"{prefix}{name}.")
        else:
            about = schemas().get(prefix + name, {}).get("description", "")
            yield _line(f"{indent}{name}: {scalar(value)}", about)


def _line(setting: str, comment: str) -> str:
    return f"{setting:<{COMMENT_COLUMN}}  # {comment}" if comment else setting
