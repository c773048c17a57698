"""Reads the tree of a public data set: finds its root, lists its images, parses their names.

Junk (identity -1) is left out and counted, distractors (identity 0) are kept and counted. An image
whose name does not follow the data set's rule is an error. What counts as an image is decided in
`walk.py`.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pplr_cli.data.images import Image, Split
from pplr_cli.errors import DataError
from pplr_cli.files import native
from pplr_cli.ingest.archive import archive_stem
from pplr_cli.ingest.chosen import one_of_each, query_names
from pplr_cli.ingest.description import Layout, NameRule, Part, is_list
from pplr_cli.ingest.walk import Reading, folder_key, is_image_name, list_images, subfolders
from pplr_cli.text import listed, named

MOST_FOLDERS = 100_000
"""The search for a root stops after this many folders."""

JUNK = "junk images (identity -1) left out"
DISTRACTORS = "distractor images (identity 0) kept"

ONE_RELEASE = "fetch or unpack the data set again: its lists and images must be of one release"


def find_root(source: Path, layout: Layout) -> Path | None:
    """Find the folder that holds the layout's split folders: `source` or one below, at any depth.

    The highest level that has one wins; if it has several, the one with a usual name. Returns None
    if there is no such folder.

    Raises:
        DataError: several folders fit equally well.
    """
    usual = {name.casefold() for name in layout.folders}
    for level in _levels(source, []):
        fits = [folder for folder in level if not _missing(folder, layout)]
        best = [folder for folder in fits if folder.name.casefold() in usual] or fits
        if len(best) > 1:
            shown = listed([f"{folder}" for folder in best])
            command = f"`pplr prepare {layout.name} FOLDER`"
            raise DataError(
                f"`{source}`: several folders look like {layout.title}:\n{shown}",
                f"name the one that you mean: {command} (unpack an archive first)",
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
    unreadable: list[str] = []
    folders = [folder for level in _levels(source, unreadable) for folder in level]
    nearest = min(folders, key=lambda folder: len(_missing(folder, layout)))
    missing = _missing(nearest, layout)
    message = f"`{nearest}`: no {layout.title} tree, {' and '.join(_quoted(missing))} missing"
    there = [path.name for path in nearest.iterdir()] if str(nearest) not in unreadable else []
    if similar := [name for wanted in missing for name in _similar(there, wanted)]:
        message += f"; is {' or '.join(_quoted(similar))} meant?"
    if packed := sorted(name for name in there if archive_stem(name)):
        message += f"; it holds an archive, {named(packed)}: unpack that first"
    if unreadable:
        message += f"; folders that cannot be read: {named(unreadable)}"
    if all(map(is_list, missing)):
        return DataError(message, f"the lists come with the images of the release: {ONE_RELEASE}")
    return DataError(message, f"expected, here or in a folder below:\n{layout.expected_tree()}")


def _quoted(names: list[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _levels(source: Path, unreadable: list[str]) -> Iterator[list[Path]]:
    """Yield the folder, its subfolders, theirs and so on, each once, up to `MOST_FOLDERS`."""
    level, seen, count = [source], {folder_key(source)}, 1
    while level and count <= MOST_FOLDERS:
        yield level
        below: list[Path] = []
        for folder in level:
            try:
                found = subfolders(folder)
            except OSError:
                unreadable.append(str(folder))
                continue
            below += [path for key, path in found.items() if key not in seen]
            seen.update(found)
        level, count = below, count + len(below)


def _missing(folder: Path, layout: Layout) -> list[str]:
    """Return the entries that a folder lacks; none if another arrangement fits."""
    fits = any(not _lacking(folder, other) for other in layout.others)
    return [] if fits else _lacking(folder, layout)


def _lacking(folder: Path, layout: Layout) -> list[str]:
    return [names[0] for names in layout.entries if not any(_find(folder, n) for n in names)]


def _find(folder: Path, name: str) -> list[Path]:
    """Return the list file of a name, or the folders of a name or glob, without hidden ones."""
    try:
        found = folder.glob(name) if "*" in name else [folder / name]
        if is_list(name):
            return [path for path in found if path.is_file()]
        return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))
    except PermissionError:
        return []


def _similar(there: list[str], wanted: str) -> list[str]:
    names = {name.casefold(): name for name in there}
    return [names[n] for n in difflib.get_close_matches(wanted.casefold(), names, 1, 0.6)]


def read_tree(root: Path, layout: Layout) -> Reading:
    """List the images of a data set's tree.

    Raises:
        DataError: names that do not follow the data set's rule, images that a list names but
            the tree lacks, a split without images.
    """
    reading = Reading()
    problems: list[str] = []
    official, missing = layout, _lacking(root, layout)
    layout = next(each for each in (layout, *layout.others) if not _lacking(root, each))
    for part in official.parts[len(layout.parts) :]:
        folders = sum(len(_find(root, name)) for name in part.folders)
        reading.notes[f"{part.split} folders left out, as `{missing[0]}` is missing"] = folders
    reading.notes = +reading.notes
    for part in layout.parts:
        folder = next(name for name in part.folders if _find(root, name))
        names: dict[str, str] = {}
        for path in [] if part.lists else _find(root, folder):
            below = f"{path.relative_to(root).as_posix()}/"
            names |= dict.fromkeys(list_images(root, reading, below, deep=False), "")
        if part.lists:
            names = _with_cameras(root, layout, _read_lists(root, folder, part))
        if not layout.rule.of_line:
            names = {path: PurePosixPath(path).name for path in names}
        if part.chosen is not None:
            chosen = _chosen(root, layout, names)
            names = {path: line for path, line in names.items() if (path in chosen) == part.chosen}
        images = list(_parse(part.split, names, layout.rule, reading, problems))
        if not images and not problems:
            plain = "images are `.jpg`, `.jpeg` and `.png` files in that folder itself"
            hint = ONE_RELEASE if part.lists else plain
            deeper = any(subfolders(path) for path in _find(root, folder))
            nested = " (is it nested one level deeper?)" if deeper else ""
            raise DataError(f"`{root / folder}`: holds no {part.split} images{nested}", hint)
        reading.images += images
    if problems:
        raise DataError(
            f"`{root}`: {len(problems)} image names that do not fit:\n{listed(problems)}",
            f"{layout.title} names its images like `{layout.rule.example}`{layout.rule.ranges}",
        )
    return reading


def _chosen(root: Path, layout: Layout, names: Mapping[str, str]) -> set[str]:
    """Return the images that `chosen.py` chooses from those of a part."""
    if not layout.tracklets:
        return one_of_each(names, layout.rule)
    queries = query_names(*(root / name for name in layout.tracklets))
    return {path for path, name in names.items() if name in queries}


def _read_lines(file: Path) -> list[str]:
    text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    return [line.strip().replace("\\", "/") for line in text.splitlines() if line.strip()]


def _with_cameras(root: Path, layout: Layout, names: Mapping[str, str]) -> dict[str, str]:
    """Add the cameras of a layout's file of cameras to the lines of its lists."""
    if layout.cameras is None:
        return dict(names)
    rows = [line.split(";") for line in _read_lines(root / layout.cameras)]
    cameras = {PurePosixPath(row[0]).stem: row[1] for row in rows if len(row) > 1}
    return {
        path: f"{line};{cameras.get(PurePosixPath(path).stem, '?')}" for path, line in names.items()
    }


def _read_lists(root: Path, folder: str, part: Part) -> dict[str, str]:
    """Return the images that the split's list files name, below `folder`, and their lines."""
    names: list[tuple[str, str]] = []
    for list_name in part.lists:
        lines = _read_lines(root / list_name)
        entries = [native(line.split()[0]) for line in lines]
        entries = [entry if PurePosixPath(entry).suffix else f"{entry}.jpg" for entry in entries]
        wrong = [entry for entry in entries if not _is_below(entry)]
        if wrong:
            message = f"`{root / list_name}`: names no image of the data set:\n{listed(wrong)}"
            raise DataError(message, ONE_RELEASE)
        missing = [entry for entry in entries if not (root / folder / entry).is_file()]
        if missing:
            message = f"`{root / folder}`: {len(missing)} images of `{list_name}` are missing"
            raise DataError(f"{message}:\n{listed(missing)}", ONE_RELEASE)
        names += [(f"{folder}/{entry}", line) for entry, line in zip(entries, lines, strict=True)]
    twice = [name for name, count in Counter(name for name, _ in names).items() if count > 1]
    if twice:
        message = f"`{root}`: images that its lists name twice:\n{listed(twice)}"
        raise DataError(message, ONE_RELEASE)
    return dict(names)


def _is_below(entry: str) -> bool:
    path = PurePosixPath(entry)
    return not path.is_absolute() and ".." not in path.parts and is_image_name(path.name)


def _parse(
    split: Split, names: Mapping[str, str], rule: NameRule, reading: Reading, problems: list[str]
) -> Iterator[Image]:
    """Yield the images by path; count junk and distractors, collect the names that do not fit."""
    for name, label in names.items():
        found = rule.read(label)
        if found is None:
            problems.append(name)
        elif found[0] == rule.junk:
            reading.notes[JUNK] += 1
        else:
            identity, camera = found
            if identity == rule.distractor:
                reading.notes[DISTRACTORS] += 1
            yield Image(split, name, identity, camera - rule.first_camera, rule.track(label))
