"""Presets: finding, reading and overriding the YAML files, and saying what is wrong with them.

A preset's `camera:` block holds the settings that `train-cam` changes. Order of precedence:
field default, preset, its camera block (train-cam only), `--set`.
"""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from pplr_cli import explain
from pplr_cli.config import Config, Mode
from pplr_cli.errors import UsageError

CAMERA = "camera"
SUFFIXES = (".yaml", ".yml")

Setting = tuple[list[str], Any]
"""The keys and the value of one `--set a.b=c`."""


def folder() -> Path:
    """Return the folder of the shipped presets (in the package, or the source tree's own)."""
    package = Path(__file__).parent
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """Return the file of a preset given by name or by path; `UsageError` if there is none."""
    path = Path(name_or_path)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UsageError(f"`{path}`: no such preset file", "`pplr presets copy NAME` makes one")
    shipped = folder() / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    raise UsageError(
        f"`{name_or_path}`: no such preset",
        f"{explain.nearest(name_or_path, names())} (`pplr presets list`), or the path of a file",
    )


def resolve(preset: str, mode: Mode, overrides: Iterable[str] = ()) -> Config:
    """Return the settings of `preset` for `mode` with `--set` overrides; `UsageError` if wrong.

    Both modes are checked, so that a faulty camera block shows before it is used.
    """
    path = find(preset)
    raw = read(path)
    settings = [parse_override(text) for text in overrides]
    configs: dict[str, Config] = {}
    wrong: dict[str, str] = {}
    for each in get_args(Mode):
        try:
            configs[each] = Config.model_validate(_merge(raw, each, settings))
        except ValidationError as error:
            for key, what in explain.problems(error).items():
                wrong.setdefault(_origin(key, what, wrong, raw, settings), what)
    if wrong:
        raise _error(str(path), wrong)
    return configs[mode]


def read(path: Path) -> dict[str, Any]:
    """Read a preset file: YAML, a mapping, no key twice."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        where, what = _yaml_problem(error)
        raise UsageError(f"`{path}{where}`: {what}", "mend the YAML there") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}`: not UTF-8 text ({error.reason})", "save it as UTF-8") from error
    except RecursionError as error:
        raise UsageError(f"`{path}`: nested too deeply", _HINT) from error
    if not isinstance(document, dict):
        what = "empty" if document is None else "not a preset (expected lines of `key: value`)"
        raise UsageError(f"`{path}:1:1`: {what}", _HINT)
    return document


def parse_override(text: str) -> Setting:
    """Split `a.b=c` into its keys and its value, read as a YAML scalar and never evaluated."""
    key, sign, value = text.partition("=")
    keys = key.split(".")
    if not sign or not all(keys) or keys == [CAMERA]:
        raise UsageError(f"`--set {text}`: expected key=value", "for example --set optim.epochs=10")
    try:
        parsed = yaml.load(value, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        what = _yaml_problem(error)[1]
        raise UsageError(f"`--set {text}`: {what}", "put the value in quotes") from error
    if isinstance(parsed, dict | list):
        raise UsageError(f"`--set {text}`: expected one value", "one --set for each key")
    return keys, parsed


def validate(values: Mapping[str, Any], source: str) -> Config:
    """Check plain values against the typed fields; all errors are told together."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _error(source, explain.problems(error)) from error


_HINT = "`pplr presets show market` lists every key"


def _error(source: str, wrong: Mapping[str, str]) -> UsageError:
    """Build one error out of all that is wrong: on one line, or a line for each key."""
    lines = [f"`{key}`: {what}" if key else what for key, what in wrong.items()]
    lines = [line.replace("`: `", "` = `", 1) for line in lines]
    if len(lines) == 1:
        return UsageError(f"`{source}`: {lines[0]}", _HINT)
    return UsageError("\n  ".join([f"`{source}`: {len(lines)} settings are wrong", *lines]), _HINT)


def _merge(raw: Mapping[str, Any], mode: str, settings: Iterable[Setting]) -> Any:
    """Lay the camera block (in train-cam) and then the `--set` values over the preset."""
    values = {key: value for key, value in raw.items() if key != CAMERA}
    camera = raw.get(CAMERA) or {}
    if not isinstance(camera, dict):
        raise UsageError(f"`{CAMERA}` = `{camera}`: must be a block of settings", _HINT)
    if mode == "train-cam":
        values = _overlay(values, camera)
    for keys, value in settings:
        if keys[0] != CAMERA:
            values = _overlay(values, _nested(keys, value))
        elif mode == "train-cam":
            values = _overlay(values, _nested(keys[1:], value))
    return values
