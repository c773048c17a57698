"""Reads the tree of a public data set: finds its root, lists its images, parses their names.

Rules: `.jpg`, `.jpeg` and `.png` in any case are images; hidden files (`._x.jpg`) and other files
(`Thumbs.db`) are left out and counted; folders inside a split folder, links that lead nowhere,
FIFOs and devices are never opened and counted; junk (identity -1) is left out and counted,
distractors (identity 0) are kept and counted; an image whose name does not follow the data set's
rule is an error.
"""

import difflib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pplr_cli.data.layouts import Layout, NameRule, Source
from pplr_cli.data.manifest import Image, Split
from pplr_cli.errors import DataError
from pplr_cli.wording import listed

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
IGNORED_FOLDERS = frozenset({"__MACOSX"})
SEARCH_DEPTH = 4

JUNK = "junk images (identity -1) left out"
DISTRACTORS = "distractor images (identity 0) kept"
OTHER_FILES = "other files left out"
NOT_FILES = "folders, broken links and special files left out"

ONE_RELEASE = "fetch or unpack the data set again: its lists and images must be of one release"


@dataclass
class Reading:
    """What was read from a tree: the images, and counts of what was left out, by reason."""

    images: list[Image] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def is_image_name(name: str) -> bool:
    """Tell whether a file of this name counts as an image."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


# the root


def find_root(source: Path, layout: Layout) -> Path | None:
    """Find the folder that holds the layout's split folders: `source` or one up to 4 levels below.

    The highest level that has one wins; among several there, one with a usual name. Links to
    folders are not followed. None where there is no such folder.

    Raises:
        DataError: several folders fit equally well.
    """
    usual = {name.casefold() for name in layout.folders}
    for level in _levels(source):
        fits = [folder for folder in level if not _missing(folder, layout)]
        named = [folder for folder in fits if folder.name.casefold() in usual]
        if len(named or fits) > 1:
            shown = listed([f"{folder}" for folder in named or fits])
            command = f"`pplr prepare {layout.name} FOLDER`"
            raise DataError(
                f"`{source}`: several folders look like {layout.title}:\n{shown}",
                f"give the one that you mean: {command} (unpack an archive before)",
            )
        if fits:
            return (named or fits)[0]
    return None


def explain_missing(source: Path, layout: Layout) -> DataError:
    """Return the error for a folder without root: the nearest match and the expected tree."""
    folders = [folder for level in _levels(source) for folder in level]
    nearest = min(folders, key=lambda folder: len(_missing(folder, layout)))
    missing = _missing(nearest, layout)
    message = (
        f"`{nearest}`: no {layout.title} tree, {' and '.join(f'`{m}`' for m in missing)} missing"
    )
    similar = [name for wanted in missing for name in _similar(nearest, wanted)]
    if similar:
        message += f"; is {' or '.join(f'`{name}`' for name in similar)} meant?"
    return DataError(message, f"expected, here or some levels deeper:\n{layout.expected_tree()}")


def _levels(source: Path) -> Iterator[list[Path]]:
    level = [source]
    for _ in range(SEARCH_DEPTH + 1):
        yield level
        level = [child for folder in level for child in _subfolders(folder)]
        if not level:
            return


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
            and not entry.name.startswith(".")
            and entry.name not in IGNORED_FOLDERS
        ]
    return [folder / name for name in sorted(names)]


def _missing(folder: Path, layout: Layout) -> list[str]:
    return [
        names[0]
        for names in layout.entries
        if not any(_is_present(folder / name) for name in names)
    ]


def _is_present(path: Path) -> bool:
    return path.is_file() if path.suffix == ".txt" else path.is_dir()


def _similar(folder: Path, wanted: str) -> list[str]:
    names = {name.casefold(): name for name in os.listdir(folder)}  # noqa: PTH208
    return [names[n] for n in difflib.get_close_matches(wanted.casefold(), names, 1, 0.6)]


# the images


def read_tree(root: Path, layout: Layout) -> Reading:
    """List the images of a data set's tree.

    Raises:
        DataError: names that do not follow the data set's rule, images that a list names but
            the tree lacks, a split without images.
    """
    reading = Reading()
    problems: list[str] = []
    for source in layout.sources:
        folder = next(name for name in source.folders if _is_present(root / name))
        names = _read_lists(root, folder, source) if source.lists else _scan(root, folder, reading)
        images = list(_parse(source.split, names, layout.rule, reading, problems))
        if not images and not problems:
            plain = "images are `.jpg`, `.jpeg` and `.png` files in that folder itself"
            hint = ONE_RELEASE if source.lists else plain
            deeper = " (is it nested one level deeper?)" if _subfolders(root / folder) else ""
            raise DataError(f"`{root / folder}`: holds no {source.split} images{deeper}", hint)
        reading.images += images
    if problems:
        rule = f"{layout.title} names its images like `{layout.rule.example}`"
        raise DataError(
            f"`{root}`: {len(problems)} image names that do not fit:\n{listed(problems)}", rule
        )
    return reading


def _scan(root: Path, folder: str, reading: Reading) -> list[str]:
    """List the images directly in a folder; count the rest."""
    names = []
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if not entry.is_file():
                reading.notes[NOT_FILES] += 1
            elif is_image_name(entry.name):
                names.append(f"{folder}/{entry.name}")
            else:
                reading.notes[OTHER_FILES] += 1
    return names


def _read_lists(root: Path, folder: str, source: Source) -> list[str]:
    """Return the images that the split's list files name; each must lie below `folder`."""
    names: list[str] = []
    for list_name in source.lists:
        text = (root / list_name).read_bytes().decode("utf-8-sig", "surrogateescape")
        entries = [line.split()[0] for line in text.splitlines() if line.strip()]
        wrong = [entry for entry in entries if not _lies_below(entry)]
        if wrong:
            message = f"`{root / list_name}`: names no image of the data set:\n{listed(wrong)}"
            raise DataError(message, ONE_RELEASE)
        missing = [entry for entry in entries if not (root / folder / entry).is_file()]
        if missing:
            message = f"`{root / folder}`: {len(missing)} images of `{list_name}` are missing"
            raise DataError(f"{message}:\n{listed(missing)}", ONE_RELEASE)
        names += [f"{folder}/{entry}" for entry in entries]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"`{root}`: images that its lists name twice:\n{listed(twice)}"
        raise DataError(message, ONE_RELEASE)
    return names


def _lies_below(entry: str) -> bool:
    path = PurePosixPath(entry)
    return not path.is_absolute() and ".." not in path.parts and is_image_name(path.name)


def _parse(
    split: Split, names: list[str], rule: NameRule, reading: Reading, problems: list[str]
) -> Iterator[Image]:
    """Yield the images; count junk and distractors, collect the names that do not fit."""
    for name in names:
        match = rule.pattern.search(PurePosixPath(name).name)
        if match is None:
            problems.append(name)
            continue
        identity, camera = int(match["identity"]), int(match["camera"])
        if identity == rule.junk:
            reading.notes[JUNK] += 1
        elif rule.identities is not None and identity not in rule.identities:
            problems.append(f"{name} (identity {identity})")
        elif rule.cameras is not None and camera not in rule.cameras:
            problems.append(f"{name} (camera {camera})")
        else:
            if identity == rule.distractor:
                reading.notes[DISTRACTORS] += 1
            yield Image(split, name, identity, camera - (rule.first_camera or 0))
