"""Reads a plain folder of crops, with what a pattern or a table says about each.

The pattern is a regular expression searched in each image's path below the folder (with `/`); its
named groups `identity`, `camera`, `split`, `track` and `frame` or `time` are optional. The table
(`table.py`) has them as columns; images that it does not name are left out and counted. Without
either, every image is in the training split, with unknown identity and camera.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.table import COLUMNS, Values, read_table
from pplr_cli.ingest.values import number_values, read_times
from pplr_cli.ingest.walk import Reading, list_images
from pplr_cli.text import listed, named

NOT_NAMED = "images that the table does not name left out"
SKIPPED = "images left out by --skip"

SPLITS = "splits are `train`, `query` and `gallery`"
GROUPS = frozenset(COLUMNS) - {"path"}


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile the pattern of `--pattern`.

    Raises:
        UsageError: it is no regular expression, or its named groups are not the known ones.
    """
    example = r"an example: `--pattern '(?P<identity>\d+)_c(?P<camera>\d+)'`"
    pattern = compile_expression("--pattern", text, example)
    unknown = set(pattern.groupindex) - GROUPS
    if unknown or not pattern.groupindex:
        what = f"unknown group `{min(unknown)}`" if unknown else "no named group"
        known = f"the named groups are {named(COLUMNS[1:])}"
        raise UsageError(f"`--pattern`: {what}", f"{known}; {example}")
    return pattern


def compile_expression(option: str, text: str, hint: str) -> re.Pattern[str]:
    """Compile the regular expression of an option; `UsageError` if it is none."""
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"`{option}`: no regular expression ({error})", hint) from error


def parse_split_names(text: str) -> dict[str, Split]:
    """Return the splits that `--split-names NAME=SPLIT,...` gives to names.

    Raises:
        UsageError: a pair is none, or of no known split.
    """
    names = {}
    for pair in text.split(","):
        name, separator, split = pair.strip().rpartition("=")
        if not separator or split not in list(Split):
            hint = f"an example: `train_all=train,probe=query`; {SPLITS}"
            raise UsageError(f"`--split-names`: `{pair}` names no split", hint)
        names[name] = Split(split)
    return names


def read_crops(
    root: Path,
    pattern: re.Pattern[str] | None = None,
    table: Path | None = None,
    ours: Iterable[Path] = (),
    names: Names = Names(),  # noqa: B008
    *,
    skip: re.Pattern[str] | None = None,
    split_names: Mapping[str, Split] = MappingProxyType({}),
) -> Reading:
    """List the images below `root`, at any depth.

    Args:
        root: folder of the images.
        pattern: what the paths say, or
        table: the table that says it.
        ours: files and folders that pplr wrote there, which are ignored.
        names: of identities, cameras and tracks whose numbers are kept.
        skip: paths in which it is found are left out.
        split_names: further names of splits.

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
    kept = [path for path in paths if not (skip and skip.search(path))]
    reading.notes[SKIPPED] = len(paths) - len(kept)
    known: dict[str, Values] = {path: {} for path in kept}
    if table is not None:
        labelled = read_table(table, root, paths, reading.notes)
        known = {path: labelled[path] for path in kept if path in labelled}
    elif pattern is not None:
        known = _match(root, kept, pattern)
    reading.notes[NOT_NAMED] = len(kept) - len(known)
    reading.notes = +reading.notes
    if not known:
        raise DataError(f"`{root}`: `--skip` leaves out every image", "change the expression")
    (identities, people), (cameras, places), (tracks, courses) = (
        number_values([values.get(column) for values in known.values()], old)
        for column, old in zip(("identity", "camera", "track"), vars(names).values(), strict=True)
    )
    reading.names = Names(people, places, courses)
    splits, times = _splits(root, known, split_names), read_times(root, known)
    reading.images = list(map(Image, splits, known, identities, cameras, tracks, times))
    return reading


def add_tracks(reading: Reading, table: Path, root: Path) -> None:
    """Give the images of another layout the tracks and times of a table, where it names them.

    Raises:
        DataError: a table that does not fit, or without tracks.
    """
    known = read_table(table, root, [each.path for each in reading.images], reading.notes)
    tracks, courses = number_values([values.get("track") for values in known.values()])
    if not any(track != UNKNOWN for track in tracks):
        raise DataError(f"`{table}`: no track", "name the columns `path,track`")
    found = dict(zip(known, zip(tracks, read_times(root, known), strict=True), strict=True))
    nothing = (UNKNOWN, float(UNKNOWN))
    reading.names = replace(reading.names, tracks=courses)
    reading.images = [
        image._replace(track=track, time=time)
        for image in reading.images
        for track, time in [found.get(image.path, nothing)]
    ]


def _match(root: Path, paths: list[str], pattern: re.Pattern[str]) -> dict[str, Values]:
    """Return each path's named groups."""
    matches = {path: pattern.search(path) for path in paths}
    strangers = [path for path, match in matches.items() if match is None]
    if strangers:
        message = f"`{root}`: {len(strangers)} of {len(paths)} paths do not match the pattern"
        hint = f"`{pattern.pattern}` is searched in paths relative to the folder, as listed"
        if len(strangers) < len(paths):
            hint += "; `pplr prepare folder` leaves paths out with `--skip REGEX`"
        raise DataError(f"{message}:\n{listed(strangers)}", hint)
    return {path: match.groupdict() for path, match in matches.items() if match is not None}


def _splits(root: Path, known: dict[str, Values], names: Mapping[str, Split]) -> list[Split]:
    given = {path: values.get("split") or Split.TRAIN for path, values in known.items()}
    splits = {path: names.get(split, split) for path, split in given.items()}
    wrong = [f"{path} ({split})" for path, split in splits.items() if split not in list(Split)]
    if wrong:
        hint = f"{SPLITS}; `--split-names` takes others"
        raise DataError(f"`{root}`: {len(wrong)} paths of no known split:\n{listed(wrong)}", hint)
    return [Split(split) for split in splits.values()]
