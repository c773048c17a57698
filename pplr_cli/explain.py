"""What is wrong with a setting, in words for people: key, value, what is allowed, nearest key."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from pplr_cli.config import Config

SHOWN_CHARACTERS = 60
"""Length at which a wrong value is cut when it is shown."""

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a block of settings",
}


def problems(error: ValidationError) -> dict[str, str]:
    """Return what is wrong by dotted key (empty for the whole document), in pydantic's order."""
    found: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_context=False):
        keys = [str(part) for part in one["loc"]]
        found.setdefault(".".join(keys), []).append(_problem(keys, one["type"], one))
    return {key: "; ".join(texts) for key, texts in found.items()}


def nearest(word: str, known: Sequence[str]) -> str:
    """Return "did you mean `x`?" or, where nothing is near, all that is known."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean `{match[0]}`?" if match else f"known: {', '.join(known)}"


def _problem(keys: list[str], kind: str, error: Mapping[str, Any]) -> str:
    if kind == "missing":
        return "missing"
    if kind in {"extra_forbidden", "invalid_key"}:
        return f"unknown key; {_nearest_key(keys)}"
    allowed = _allowed(keys)
    if kind == "value_error" and allowed == _TYPES["object"]:  # a rule between several keys
        return str(error["msg"]).removeprefix("Value error, ")
    return f"`{_shown(error['input'])}`: must be {allowed}"


def _shown(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _nearest_key(keys: list[str]) -> str:
    """Name the dotted key that the unknown one is nearest to: in its block, else anywhere."""
    word, block = keys[-1], keys[:-1]
    known = dict(_walk())
    siblings = [key for key in known if key.split(".")[:-1] == block]
    for candidates in (siblings, list(known)):
        by_word = {key.rpartition(".")[2]: key for key in reversed(candidates)}
        match = difflib.get_close_matches(word, by_word, n=1, cutoff=0.6)
        if match:
            return f"did you mean `{by_word[match[0]]}`?"
    return f"known here: {', '.join(key.rpartition('.')[2] for key in siblings)}"


def _allowed(keys: list[str]) -> str:
    """Say which values the setting takes."""
    return _in_words(dict(_walk()).get(".".join(keys), {"type": "object"}))


def _in_words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_in_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    words = [_TYPES[schema["type"]], *(["that is not empty"] if "minLength" in schema else [])]
    if bounds:
        words += ["of"] if bounds[0].startswith("at ") else []
        words.append(" and ".join(bounds))
    return " ".join(words)


@cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()


def _walk(schema: Mapping[str, Any] | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give the JSON schema of every setting and block by dotted key."""
    for name, field in (schema or _schema())["properties"].items():
        if "$ref" in field:
            field = _schema()["$defs"][field["$ref"].rpartition("/")[2]]
        yield prefix + name, field
        if "properties" in field:
            yield from _walk(field, f"{prefix}{name}.")
