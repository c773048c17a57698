"""Explain invalid settings: key, value, allowed values, nearest known key."""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from pplr_cli.config.backbones import NAMES
from pplr_cli.config.fields import Config

SHOWN_CHARACTERS = 60
"""Longer values are cut in messages."""


class Problem(NamedTuple):
    """One invalid setting: its dotted key (None for several), its value, what is wrong, a hint."""

    key: str | None
    value: str | None
    what: str
    hint: str | None = None

    def __str__(self) -> str:
        key = f"`{self.key}`" if self.key is not None else ""
        value = f"`{self.value}`" if self.value is not None else ""
        return ": ".join(filter(None, (" = ".join(filter(None, (key, value))), self.what)))


def problems(error: ValidationError) -> list[Problem]:
    """Rewrite pydantic's errors for a `Config`."""
    return [_problem(dict(one)) for one in error.errors(include_url=False)]


def _problem(error: Mapping[str, Any]) -> Problem:
    keys = [str(part) for part in error["loc"] if part != "[key]"]
    key, what = ".".join(keys), error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return Problem(key, None, "missing")
    if error["type"] in {"extra_forbidden", "invalid_key"}:
        return Problem(key, None, f"unknown key; {_nearest_key(keys)}")
    if error["type"] == "value_error" and isinstance(error["input"], dict):  # a rule between keys
        return Problem(None, None, what, error.get("ctx", {}).get("hint"))
    if error["type"] in {"model_type", "model_attributes_type"}:
        what = "must be a block of settings"
    what = re.sub(r"^\w+ should", "must", what).partition(", unable to ")[0]
    return Problem(key, _shown(error["input"]), what.replace("'", "`"), _nearest_value(key, error))


def _nearest_value(key: str, error: Mapping[str, Any]) -> str | None:
    """Suggest the most similar of the allowed values; None if there is none, or no list."""
    known = NAMES if key == "model.backbone" else schemas().get(key, {}).get("enum", ())
    match = difflib.get_close_matches(str(error["input"]), known, n=1, cutoff=0.6)
    return f"did you mean `{match[0]}`?" if match else None


def _shown(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    return shortened(text)


def shortened(text: str) -> str:
    """Return text cut to `SHOWN_CHARACTERS`."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _nearest_key(keys: list[str]) -> str:
    """Suggest a key of the same last word, else the nearest in its block, else anywhere."""
    siblings = [key for key in schemas() if key.split(".")[:-1] == keys[:-1]]
    same = [key for key in schemas() if key.rpartition(".")[2] == keys[-1]]
    for known in (same, siblings, list(schemas())):
        by_word = {key.rpartition(".")[2]: key for key in reversed(known)}
        match = difflib.get_close_matches(keys[-1], by_word, n=1, cutoff=0.6)
        if match:
            return f"did you mean `{by_word[match[0]]}`?"
    return f"known here: {', '.join(key.rpartition('.')[2] for key in siblings)}"


def setting_for(option: str) -> str | None:
    """Return the setting that someone means by an option such as `--lr` or `--batch-size`."""
    word = option.strip("-").replace("-", "_").lower()
    names: dict[str, str] = {}
    for key, schema in schemas().items():
        if "properties" not in schema:
            about = schema.get("description", "").replace(" ", "_")
            for name in (key.replace(".", "_"), key.rpartition(".")[2], about):
                names.setdefault(name, key)
    match = difflib.get_close_matches(word, names, n=1, cutoff=0.85)
    return names[match[0]] if match else None


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of every setting and block, by dotted key."""
    schema = Config.model_json_schema()

    def walk(block: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, field in block["properties"].items():
            if "$ref" in field:
                field = schema["$defs"][field["$ref"].rpartition("/")[2]]
            yield prefix + name, field
            if "properties" in field:
                yield from walk(field, f"{prefix}{name}.")

    return dict(walk(schema, ""))
