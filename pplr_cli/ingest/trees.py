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

from pplr_cli.data.manifest import Image, Split
from pplr_cli.errors import DataError
from pplr_cli.files import native
from pplr_cli.ingest.archive import archive_stem
from pplr_cli.ingest.layouts import Layout, NameRule, Source
from pplr_cli.text import listed, named

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
FOREIGN_SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".tif", ".tiff", ".webp"})
IGNORED_FOLDERS = frozenset({"__MACOSX"})
MOST_FOLDERS = 100_000
"""Folders looked into before the search for a root is given up."""

JUNK = "junk images (identity -1) left out"
DISTRACTORS = "distractor images (identity 0) kept"
OTHER_FILES = "other files left out"
FOREIGN_IMAGES = "images that are neither JPEG nor PNG left out"
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


def reason_left_out(name: str) -> str:
    """Return why a file is left out that does not count as an image."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return FOREIGN_IMAGES if suffix in FOREIGN_SUFFIXES else OTHER_FILES


def is_regular(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a regular file or a link to one; it is not opened."""
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


# the root


def find_root(source: Path, layout: Layout) -> Path | None:
    """Find the folder that holds the layout's split folders: `source` or one below, at any depth.

    The highest level that has one wins; among several there, one with a usual name. Links to
    folders are not followed. None where there is no such folder.

    Raises:
        DataError: several folders fit equally well.
    """
    usual = {name.casefold() for name in layout.folders}
    for level in _levels(source):
        fits = [folder for folder in level if not _missing(folder, layout)]
        best = [folder for folder in fits if folder.name.casefold() in usual] or fits
        if len(best) > 1:
            shown = listed([f"{folder}" for folder in best])
            command = f"`pplr prepare {layout.name} FOLDER`"
            raise DataError(
                f"`{source}`: several folders look like {layout.title}:\n{shown}",
                f"give the one that you mean: {command} (unpack an archive before)",
            )
        if best:
            return best[0]
    return None


def find_root_above(source: Path, layout: Layout) -> Path | None:
    """Find the nearest folder above `source` that holds the layout's split folders."""
    above = source.resolve().parents
    return next((folder for folder in above if not _missing(folder, layout)), None)


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
    packed = [name for name in sorted(os.listdir(nearest)) if archive_stem(name)]  # noqa: PTH208
    if packed:
        message += f"; it holds an archive, {named(packed)}: unpack that first"
    return DataError(message, f"expected, here or some levels deeper:\n{layout.expected_tree()}")


def _levels(source: Path) -> Iterator[list[Path]]:
    """Yield the folder, its subfolders, theirs and so on, up to `MOST_FOLDERS` in all."""
    level, seen = [source], 1
    while level and seen <= MOST_FOLDERS:
        yield level
        level = [child for folder in level for child in _subfolders(folder)]
        seen += len(level)


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without links; none where it may not be read."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
                and entry.name not in IGNORED_FOLDERS
            ]
    except PermissionError:
        return []
    return [folder / name for name in sorted(names)]


def _missing(folder: Path, layout: Layout) -> list[str]:
    return [
        names[0]
        for names in layout.entries
        if not any(_is_present(folder / name) for name in names)
    ]


def _is_present(path: Path) -> bool:
    try:
        return path.is_file() if path.suffix == ".txt" else path.is_dir()
    except PermissionError:
        return False


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
        raise DataError(
            f"`{root}`: {len(problems)} image names that do not fit:\n{listed(problems)}",
            f"{layout.title} names its images like `{layout.rule.example}`{layout.rule.ranges}",
        )
    return reading


def _scan(root: Path, folder: str, reading: Reading) -> list[str]:
    """List the images directly in a folder; count the rest."""
    names = []
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if not is_regular(entry):
                reading.notes[NOT_FILES] += 1
            elif is_image_name(entry.name):
                names.append(f"{folder}/{entry.name}")
            else:
                reading.notes[reason_left_out(entry.name)] += 1
    return names


def _read_lists(root: Path, folder: str, source: Source) -> list[str]:
    """Return the images that the split's list files name; each must lie below `folder`."""
    names: list[str] = []
    for list_name in source.lists:
        text = (root / list_name).read_bytes().decode("utf-8-sig", "surrogateescape")
        entries = [native(line.split()[0]) for line in text.splitlines() if line.strip()]
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
        found = rule.read(PurePosixPath(name).name)
        if found is None:
            problems.append(name)
        elif found[0] == rule.junk:
            reading.notes[JUNK] += 1
        else:
            identity, camera = found
            if identity == rule.distractor:
                reading.notes[DISTRACTORS] += 1
            yield Image(split, name, identity, camera - (rule.first_camera or 0))
