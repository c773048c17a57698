"""Reads a plain folder of crops, at any depth, with what a pattern or a table says of them.

The pattern is a regular expression searched in each image's path below the folder (with `/`); its
named groups are `identity`, `camera` and `split`, each optional. The table (`table.py`) has them as
columns; images that it does not name are left out and counted. Numbers stand as they are (a
negative one means "unknown"); if any value of a group is not a number, the group's values are
numbered in sorted order. Without both everything is in the training split and unknown.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pplr_cli.data.manifest import UNKNOWN, Image, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.table import Values, read_table
from pplr_cli.ingest.trees import (
    IGNORED_FOLDERS,
    NOT_FILES,
    Reading,
    is_image_name,
    reason_left_out,
)
from pplr_cli.text import listed

NOT_NAMED = "images that the table does not name left out"

GROUPS = frozenset({"identity", "camera", "split"})


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile the pattern of `--pattern`.

    Raises:
        UsageError: it is no regular expression, or its named groups are not the known ones.
    """
    example = r"an example: `--pattern '(?P<identity>\d+)_c(?P<camera>\d+)'`"
    try:
        pattern = re.compile(text)
    except re.error as error:
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
    """List the images below `root`.

    Links to folders are not followed; FIFOs and devices are never opened. What pplr put there
    itself (`ours`, files and folders) is passed over.

    Raises:
        DataError: no image, paths that do not match the pattern, a table that does not fit, unknown
            splits.
    """
    reading = Reading()
    here = root.resolve()
    resolved = [path.resolve() for path in ours]
    passed = {str(path.relative_to(here)) for path in resolved if here in path.parents}
    paths = sorted(_walk(root, reading, passed))
    if not paths:
        left_out = "".join(f"; {what}: {count}" for what, count in reading.notes.items())
        raise DataError(
            f"`{root}`: holds no images{left_out}",
            "images are `.jpg`, `.jpeg` and `.png` files, at any depth; convert others",
        )
    if table is not None:
        known = read_table(table, root, paths)
    elif pattern is not None:
        known = _match(root, paths, pattern)
    else:
        known = {path: {} for path in paths}
    if len(known) < len(paths):
        reading.notes[NOT_NAMED] = len(paths) - len(known)
    identities = _numbers([values.get("identity") for values in known.values()])
    cameras = _numbers([values.get("camera") for values in known.values()])
    splits = _splits(root, known)
    reading.images = list(map(Image, splits, known, identities, cameras))
    return reading


def _walk(root: Path, reading: Reading, passed: set[str]) -> Iterator[str]:
    """Yield the images' paths below the root; count everything else but what is `passed` over."""
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        for name in list(subfolders):
            if str((here / name).relative_to(root)) in passed:
                subfolders.remove(name)
            elif name.startswith(".") or name in IGNORED_FOLDERS or (here / name).is_symlink():
                subfolders.remove(name)
                reading.notes[NOT_FILES] += 1
        for name in names:
            path = here / name
            below = path.relative_to(root).as_posix()
            if not path.is_file():
                reading.notes[NOT_FILES] += 1
            elif below in passed:
                continue
            elif is_image_name(name):
                yield below
            else:
                reading.notes[reason_left_out(name)] += 1


def _match(root: Path, paths: list[str], pattern: re.Pattern[str]) -> dict[str, Values]:
    """Return each path's named groups."""
    matches = {path: pattern.search(path) for path in paths}
    strangers = [path for path, match in matches.items() if match is None]
    if strangers:
        message = f"`{root}`: {len(strangers)} of {len(paths)} paths do not match the pattern"
        raise DataError(f"{message}:\n{listed(strangers)}", f"the pattern is `{pattern.pattern}`")
    return {path: match.groupdict() for path, match in matches.items() if match is not None}


def _numbers(values: list[str | None]) -> list[int]:
    """Turn a group's values into numbers; None becomes `UNKNOWN`."""
    present = {value for value in values if value is not None}
    if all(re.fullmatch(r"-?\d{1,18}", value, re.ASCII) for value in present):
        numbers = {value: max(int(value), UNKNOWN) for value in present}
    else:
        numbers = {value: number for number, value in enumerate(sorted(present))}
    return [UNKNOWN if value is None else numbers[value] for value in values]


def _splits(root: Path, known: dict[str, Values]) -> list[Split]:
    splits = {path: values.get("split") or Split.TRAIN for path, values in known.items()}
    wrong = [f"{path} ({split})" for path, split in splits.items() if split not in list(Split)]
    if wrong:
        rule = "splits are `train`, `query` and `gallery`"
        raise DataError(f"`{root}`: {len(wrong)} paths of no known split:\n{listed(wrong)}", rule)
    return [Split(split) for split in splits.values()]
