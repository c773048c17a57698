"""Presets: finding, reading and overriding the YAML files, and saying what is wrong with them.

A preset's `camera:` block holds the settings that `train-cam` changes. Order of precedence:
field default, preset, its camera block (train-cam only), `--set`.
"""

import difflib
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pplr_cli.config import Config, Mode
from pplr_cli.errors import UsageError

CAMERA = "camera"


def folder() -> Path:
    """Return the folder of the shipped presets (in the package, or the source tree's own)."""
    package = Path(__file__).parent
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """Return the file of a preset given by name or by path."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UsageError(f"`{path}`: no such preset file", "`pplr presets copy NAME` makes one")
    shipped = folder() / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    raise UsageError(
        f"`--preset {name_or_path}`: no such preset",
        _nearest(name_or_path, names()) + f"there are {', '.join(names())}, or the path of a file",
    )


def resolve(preset: str, mode: Mode, overrides: Iterable[str] = ()) -> Config:
    """Return the settings of `preset` for `mode` with `--set` overrides; `UsageError` if wrong.

    Both modes are checked, so that a faulty camera block shows before it is used.
    """
    path = find(preset)
    raw = read(path)
    settings = [parse_override(text) for text in overrides]
    resolved = {m: _merge(raw, m, settings) for m in ("train", "train-cam")}
    configs = {m: validate(values, str(path)) for m, values in resolved.items()}
    return configs[mode]


def read(path: Path) -> dict[str, Any]:
    """Read a preset file: YAML, a mapping, no key twice."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}`: {_yaml_problem(error)}", "mend the YAML there") from error
    if not isinstance(document, dict):
        raise UsageError(f"`{path}`: not a preset (expected `key: value` lines)", "see `market`")
    return document


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split `a.b=c` into its keys and its value, read as a YAML scalar and never evaluated."""
    key, sign, value = text.partition("=")
    if not sign or not all(key.split(".")):
        raise UsageError(f"`--set {text}`: expected key=value", "for example --set optim.epochs=10")
    try:
        return key.split("."), yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"`--set {text}`: {_yaml_problem(error)}", "quote the value") from error


def validate(values: Mapping[str, Any], source: str) -> Config:
    """Check plain values against the typed fields; all errors are told together."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [_explain(dict(e)) for e in error.errors()]
        message = f"`{source}`: " + "; ".join(lines)
        raise UsageError(message, "`pplr presets show market` lists every key") from error


def _merge(raw: Mapping[str, Any], mode: str, settings: list[tuple[list[str], Any]]) -> Any:
    """Lay the camera block (in train-cam) and then the `--set` values over the preset."""
    values = {key: value for key, value in raw.items() if key != CAMERA}
    camera = raw.get(CAMERA) or {}
    if not isinstance(camera, dict):
        raise UsageError(f"`{CAMERA}`: expected a block of settings, got `{camera}`")
    if mode == "train-cam":
        values = _overlay(values, camera)
    for keys, value in settings:
        if keys[0] != CAMERA:
            values = _overlay(values, _nested(keys, value))
        elif mode == "train-cam":
            values = _overlay(values, _nested(keys[1:], value))
    return values


def _nested(keys: list[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _overlay(base: Any, over: Any) -> Any:
    """Return `base` with the values of `over` laid over it, block by block."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: _overlay(base.get(key), value) for key, value in over.items()}


def _explain(error: dict[str, Any]) -> str:
    """Rewrite one pydantic error for people: key, value, what is allowed, nearest known key."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"`{key}`: unknown key; {_nearest(location[-1], _siblings(location[:-1]), '')}"
    if error["type"] == "missing":
        return f"`{key}`: missing"
    what = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"`{key}`: {what}" if key else what
    return f"`{key}` = `{error['input']}`: {what[0].lower()}{what[1:]}"


def _siblings(location: list[str]) -> list[str]:
    """Return the known keys of the block at `location`."""
    block: type[BaseModel] = Config
    for part in location:
        inner = block.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        block = inner
    return [*block.model_fields, *([CAMERA] if not location else [])]


def _nearest(word: str, known: list[str], end: str = "; ") -> str:
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean `{match[0]}`?{end}" if match else f"known: {', '.join(known)}{end}"


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or error).splitlines()[0]


class _Loader(yaml.SafeLoader):
    """The safe loader, refusing a key that stands twice in a block (PyYAML keeps the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key `{key}` stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
