"""Reads a plain folder of crops, with what a pattern or a table says about each.

The pattern is a regular expression searched in each image's path below the folder (with `/`); its
named groups `identity`, `camera` and `split` are optional. The table (`table.py`) has them as
columns; images that it does not name are left out and counted. Without either, every image is in
the training split, with unknown identity and camera.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from pplr_cli.data.manifest import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.table import Values, read_table
from pplr_cli.ingest.walk import Reading, list_images
from pplr_cli.text import listed

NOT_NAMED = "images that the table does not name left out"

GROUPS = frozenset({"identity", "camera", "split"})
NO_VALUE = frozenset({"", "?", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "unknown"})
"""Texts that stand for a missing value, in any case and after any sign."""
DIGITS = 18
"""Integers with more digits are names: they would not fit int64."""
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?", re.ASCII)


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile the pattern of `--pattern`.

    Raises:
        UsageError: it is no regular expression, or its named groups are not the known ones.
    """
    example = r"an example: `--pattern '(?P<identity>\d+)_c(?P<camera>\d+)'`"
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"`--pattern`: no regular expression ({error})", example) from error
    unknown = set(pattern.groupindex) - GROUPS
    if unknown or not pattern.groupindex:
        what = f"unknown group `{min(unknown)}`" if unknown else "no named group"
        known = "the named groups are `identity`, `camera` and `split`"
        raise UsageError(f"`--pattern`: {what}", f"{known}; {example}")
    return pattern


def read_crops(
    root: Path,
    pattern: re.Pattern[str] | None = None,
    table: Path | None = None,
    ours: Iterable[Path] = (),
) -> Reading:
    """List the images below `root`, at any depth.

    Args:
        root: folder of the images.
        pattern: what the paths say, or
        table: the table that says it.
        ours: files and folders that pplr wrote there, which are ignored.

    Raises:
        DataError: no image, unreadable folders, paths that do not match the pattern, a table that
            does not fit, unknown splits.
    """
    reading, here = Reading(), root.resolve()
    resolved = [path.resolve() for path in ours]
    passed = {path.relative_to(here).as_posix() for path in resolved if here in path.parents}
    paths = list_images(root, reading, passed=passed)
    if not paths:
        left_out = "".join(f"; {what}: {count}" for what, count in reading.notes.items())
        raise DataError(
            f"`{root}`: holds no images{left_out}",
            "images are `.jpg`, `.jpeg` and `.png` files, at any depth; convert others",
        )
    known: dict[str, Values] = {path: {} for path in paths}
    if table is not None:
        known = read_table(table, root, paths)
    elif pattern is not None:
        known = _match(root, paths, pattern)
    if len(known) < len(paths):
        reading.notes[NOT_NAMED] = len(paths) - len(known)
    identities, people = number_values([values.get("identity") for values in known.values()])
    cameras, places = number_values([values.get("camera") for values in known.values()])
    reading.names = Names(people, places)
    reading.images = list(map(Image, _splits(root, known), known, identities, cameras))
    return reading


def _match(root: Path, paths: list[str], pattern: re.Pattern[str]) -> dict[str, Values]:
    """Return each path's named groups."""
    matches = {path: pattern.search(path) for path in paths}
    strangers = [path for path, match in matches.items() if match is None]
    if strangers:
        message = f"`{root}`: {len(strangers)} of {len(paths)} paths do not match the pattern"
        raise DataError(f"{message}:\n{listed(strangers)}", f"the pattern is `{pattern.pattern}`")
    return {path: match.groupdict() for path, match in matches.items() if match is not None}


def number_values(values: Sequence[str | None]) -> tuple[list[int], dict[int, str]]:
    """Turn identities or cameras into numbers, each value judged by itself.

    Integers keep their value in any spelling (`17`, `0017`, `17.0`); negative and missing values
    are `UNKNOWN`; all other texts get the numbers after the largest integer, in sorted order.

    Returns:
        The number of each value, and the first spelling of each number that is not written so.
    """
    keys = [_key(value) for value in values]
    names = sorted({key for key in keys if isinstance(key, str)})
    first = max((key for key in keys if isinstance(key, int)), default=UNKNOWN) + 1
    numbers = {name: first + place for place, name in enumerate(names)}
    found = [numbers[key] if isinstance(key, str) else key for key in keys]
    spelled: dict[int, str] = {}
    for number, value in zip(found, values, strict=True):
        if number != UNKNOWN and value is not None:
            spelled.setdefault(number, value.strip())
    return found, {number: text for number, text in spelled.items() if text != str(number)}


def _key(value: str | None) -> int | str:
    """Return an integer, `UNKNOWN`, or the text that tells a name from others."""
    text = unicodedata.normalize("NFC", value or "").strip()
    if text.casefold().lstrip("+-") in NO_VALUE:
        return UNKNOWN
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction = match[1], match[2].lstrip("0"), (match[3] or "").strip("0")
    if sign == "-" and (whole or fraction):
        return UNKNOWN
    if fraction:
        return text
    return int(whole or "0") if len(whole) <= DIGITS else whole


def _splits(root: Path, known: dict[str, Values]) -> list[Split]:
    splits = {path: values.get("split") or Split.TRAIN for path, values in known.items()}
    wrong = [f"{path} ({split})" for path, split in splits.items() if split not in list(Split)]
    if wrong:
        rule = "splits are `train`, `query` and `gallery`"
        raise DataError(f"`{root}`: {len(wrong)} paths of no known split:\n{listed(wrong)}", rule)
    return [Split(split) for split in splits.values()]
