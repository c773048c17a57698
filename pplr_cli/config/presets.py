"""Presets: find, read and override the YAML files, and explain what is wrong with them.

The `camera:` block of a preset contains the settings that `train-cam` changes. Later ones win:
field default, preset, its camera block (train-cam only), `--set`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from pplr_cli.config import problems
from pplr_cli.config.fields import Config, Mode
from pplr_cli.errors import UsageError
from pplr_cli.text import nearest

CAMERA = "camera"
SUFFIXES = (".yaml", ".yml")

Setting = tuple[list[str], Any]
"""Keys and value of one `--set a.b=c`."""


def folder() -> Path:
    """Return the folder of the shipped presets: in the package, or in the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """Return the file of a preset, given by name or path; `UsageError` if there is none."""
    path = Path(name_or_path)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UsageError(f"`{path}`: no such preset file", "`pplr presets copy NAME` makes one")
    shipped = folder() / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    hint = f"{nearest(name_or_path, names())} (or the path of a YAML file)"
    raise UsageError(f"`{name_or_path}`: no such preset", hint)


def resolve(preset: str, mode: Mode, overrides: Iterable[str] = ()) -> Config:
    """Return the settings of `preset` for `mode` with `--set` overrides; `UsageError` if wrong.

    Both modes are checked, to find a wrong camera block before it is used.
    """
    raw = read(find(preset))
    settings = [parse_override(text) for text in overrides]
    plain, in_plain = _check(_merge(raw, settings, camera=False))
    camera, in_camera = _check(_merge(raw, settings, camera=True))
    if plain is None or camera is None:
        own = [*_check(_merge(raw, [], camera=False))[1], *_check(_merge(raw, [], camera=True))[1]]
        in_camera = [problem for problem in in_camera if problem not in in_plain]
        wrong = _marked(in_plain, own) + [_of_camera(p) for p in _marked(in_camera, own)]
        raise _error(preset, wrong)
    return camera if mode == "train-cam" else plain


def read(path: Path) -> dict[str, Any]:
    """Read a preset file: a YAML mapping without duplicate keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = _location(error.object[: error.start].decode())
        raise UsageError(f"`{path}{where}`: not UTF-8 text", "save it as UTF-8") from error
    try:
        document = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:  # a date or number that does not convert
        where, what = _yaml_problem(error, text)
        raise UsageError(f"`{path}{where}`: {what}", "correct the YAML there") from error
    except RecursionError as error:
        raise UsageError(f"`{path}`: nested too deeply", _keys(str(path))) from error
    if not isinstance(document, dict):
        what = "empty" if document is None else "not a preset (expected lines of `key: value`)"
        raise UsageError(f"`{path}:1:1`: {what}", _keys(str(path)))
    if not isinstance(document.get(CAMERA, {}), dict):
        raise UsageError(f"`{path}`: `{CAMERA}` must be a block of settings", _keys(str(path)))
    return document


def parse_override(text: str) -> Setting:
    """Split `a.b=c` into keys and value; the value is parsed as a YAML scalar."""
    key, sign, value = text.partition("=")
    keys = key.split(".")
    if not sign or not all(keys) or keys == [CAMERA]:
        raise UsageError(f"`--set {text}`: expected key=value", "for example --set optim.epochs=10")
    try:
        parsed = yaml.load(value, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = _yaml_problem(error, value)[1]
        hint = "check the value; put text in quotes"
        raise UsageError(f"`--set {problems.shortened(text)}`: {what}", hint) from error
    if isinstance(parsed, dict | list):
        raise UsageError(f"`--set {text}`: expected a single value", "one --set for each key")
    return keys, parsed


def overrides(
    settings: Iterable[str], data: str | None = None, seed: int | None = None
) -> list[str]:
    """Return the `--set` texts, with those that `--data` and `--seed` mean."""
    given = {"data.name": data, "seed": seed}
    return [*settings, *(f"{key}={value}" for key, value in given.items() if value is not None)]


def as_texts(overrides: Mapping[str, Any]) -> list[str]:
    """Return settings by dotted key as `--set` texts."""
    return [f"{key}={scalar(value)}" for key, value in overrides.items()]


def scalar(value: Any) -> str:
    """Return one value as YAML, on one line."""
    if isinstance(value, PurePath):
        value = str(value)
    elif hasattr(value, "item"):  # a NumPy number
        value = value.item()
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def restore(values: Mapping[str, Any], source: str, overrides: Iterable[str] = ()) -> Config:
    """Return the settings recorded in the file `source`, with `--set` overrides."""
    settings = [parse_override(text) for text in overrides]
    config, wrong = _check(_merge(values, settings, camera=False))
    if config is None:
        raise _error(source, _marked(wrong, _check(values)[1]))
    return config


def _check(values: Any) -> tuple[Config | None, list[problems.Problem]]:
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        return None, problems.problems(error)


def _of_camera(problem: problems.Problem) -> problems.Problem:
    return problem._replace(key=CAMERA if problem.key is None else f"{CAMERA}.{problem.key}")


def _marked(
    wrong: Iterable[problems.Problem], own: Sequence[problems.Problem]
) -> list[problems.Problem]:
    """Mark the problems that the file does not have without `--set`."""
    return [p if p in own else p._replace(what=f"{p.what} (from `--set`)") for p in wrong]


def _keys(source: str) -> str:
    """Return the hint to list every key: of a shipped preset; a file may itself be wrong."""
    return f"`pplr presets show {source if source in names() else 'NAME'}` lists every key"


def _error(source: str, wrong: Sequence[problems.Problem]) -> UsageError:
    """Return one error for all problems, one per line."""
    if len(wrong) == 1:
        return UsageError(f"`{source}`: {wrong[0]}", wrong[0].hint or _keys(source))
    lines = [f"`{source}`: {len(wrong)} settings are wrong", *map(str, wrong)]
    hints = "; ".join(dict.fromkeys(problem.hint for problem in wrong if problem.hint))
    return UsageError("\n  ".join(lines), hints or _keys(source))


def _merge(raw: Mapping[str, Any], settings: Iterable[Setting], camera: bool) -> Any:
    """Override the preset by its camera block (in train-cam), then by the `--set` values."""
    values: Any = {key: value for key, value in raw.items() if key != CAMERA}
    if camera:
        values = _overlay(values, raw.get(CAMERA, {}))
    for keys, value in settings:
        if keys[0] != CAMERA:
            values = _overlay(values, _nested(keys, value))
        elif camera:
            values = _overlay(values, _nested(keys[1:], value))
    return values


def _nested(keys: list[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _overlay(base: Any, over: Any) -> Any:
    """Return `base` with the values of `over` replaced, block by block."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: _overlay(base.get(key), value) for key, value in over.items()}


def _yaml_problem(error: Exception, text: str) -> tuple[str, str]:
    """Return where (`:line:column`) and what is wrong in a YAML text."""
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    if what.startswith("but "):
        what = f"{getattr(error, 'context', '')}, {what}"
    elif "'\\t'" in what:
        what = "a tab; YAML requires spaces"
    elif "constructor for the tag" in what:
        what = f"the tag {what.rpartition(' ')[2]} is not allowed"
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f":{mark.line + 1}:{mark.column + 1}", what
    return _location(text[: getattr(error, "position", 0)]), what


def _location(before: str) -> str:
    """Return `:line:column` of the end of `before`."""
    return f":{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases and duplicate keys (PyYAML keeps the last)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                what = "a key must be plain text"
            elif key.value in seen:
                what = f"duplicate key `{key.value}`"
            else:
                seen.add(key.value)
                continue
            raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
        return super().construct_mapping(node, deep)
