"""Resolved settings as a YAML text for people: every field with its description."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pplr_cli.config.fields import Config
from pplr_cli.config.presets import CAMERA, scalar

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
    """Return nested mappings and lists as one mapping by dotted key."""
    items = enumerate(values) if isinstance(values, list) else values.items()
    found: dict[str, Any] = {}
    for key, value in items:
        nested = isinstance(value, dict | list)
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def annotated(config: Config, camera: Mapping[str, Any] | None = None) -> str:
    """Return `config` as a preset file, with `camera` as its block for train-cam."""
    lines = list(_block(config, config.document(), ""))
    if camera:
        lines += [_line(f"{CAMERA}:", "what train-cam changes"), *_plain(camera, "  ")]
    return "\n".join(lines) + "\n"


def _block(section: BaseModel, values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        inner = getattr(section, name)
        if isinstance(inner, BaseModel):
            yield f"{indent}{name}:"
            yield from _block(inner, values[name], indent + "  ")
        else:
            yield _line(f"{indent}{name}: {scalar(values[name])}", field.description or "")


def _plain(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _plain(value, indent + "  ")
        else:
            yield f"{indent}{name}: {scalar(value)}"


def _line(setting: str, comment: str) -> str:
    return f"{setting:<{COMMENT_COLUMN}}  # {comment}" if comment else setting
