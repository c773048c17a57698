"""Lists the image files of a folder, and counts everything else by reason.

`.jpg`, `.jpeg` and `.png` in any case are images. Links to files and folders are followed; a link
to a folder above itself is not. Hidden folders and `__MACOSX` are skipped; broken links, FIFOs and
devices are never opened. A folder that cannot be read is an error: it may hold images.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from pplr_cli.data.images import Image, Names
from pplr_cli.errors import DataError
from pplr_cli.text import listed

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
FOREIGN_SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".tif", ".tiff", ".webp"})
IGNORED_FOLDERS = frozenset({"__MACOSX"})

OTHER_FILES = "other files left out"
FOREIGN_IMAGES = "images that are neither JPEG nor PNG left out"
NOT_FILES = "folders, broken links and special files left out"

Key = tuple[int, int]
"""Device and inode of a folder."""


@dataclass
class Reading:
    """The images found in a tree."""

    images: list[Image] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)  # files left out or kept, by reason
    names: Names = field(default_factory=Names)  # the user's, of identities and cameras
    left_out: list[str] = field(default_factory=list)  # folders, links and special files


def is_image_name(name: str) -> bool:
    """Return whether a file of this name counts as an image."""
    return not name.startswith(".") and _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def subfolders(folder: Path) -> dict[Key, Path]:
    """Return the folders in a folder, links included, in order of their names.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            each.name for each in entries if _is(each.is_dir) and not _skipped(each.name)
        )
    return {folder_key(folder / name): folder / name for name in names}


def folder_key(folder: Path) -> Key:
    """Return what identifies a folder under any of its names."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def list_images(
    root: Path,
    reading: Reading,
    below: str = "",
    *,
    deep: bool = True,
    passed: Collection[str] = (),
) -> list[str]:
    """Return the paths (with `/`) of the images below a root, sorted.

    Args:
        root: the root.
        reading: gets the counts of what was left out.
        below: folder in the root to start from; ends with `/` unless it is empty.
        deep: whether folders in it are read, too.
        passed: paths below the root that are ignored.

    Raises:
        DataError: folders cannot be read (all are listed).
    """
    start = root / below
    above = {folder_key(folder) for folder in (start, *start.resolve().parents)}
    images: list[str] = []
    unreadable: list[str] = []
    folders: list[tuple[str, set[Key]]] = [(below, above)]
    while folders:
        here, above = folders.pop()
        try:
            with os.scandir(root / here) as found:
                entries = [each for each in found if here + each.name not in passed]
        except OSError as error:
            unreadable.append(f"{here or '.'}: {error.strerror}")
            continue
        for entry in entries:
            path = here + entry.name
            enter = deep and _is(entry.is_dir) and not _skipped(entry.name)
            if enter and (key := folder_key(root / path)) not in above:
                folders.append((f"{path}/", {*above, key}))
            elif _is(entry.is_file) and is_image_name(entry.name):
                images.append(path)
            else:
                _leave_out(entry, path, reading)
    if unreadable:
        message = f"`{root}`: {len(unreadable)} folders cannot be read:\n{listed(unreadable)}"
        raise DataError(message, "make them readable (`chmod -R u+rX`), or move them elsewhere")
    reading.left_out.sort()
    return sorted(images)


def _leave_out(entry: os.DirEntry[str], path: str, reading: Reading) -> None:
    if _is(entry.is_file):
        foreign = _suffix(entry.name) in FOREIGN_SUFFIXES
        reading.notes[FOREIGN_IMAGES if foreign else OTHER_FILES] += 1
        return
    reading.notes[NOT_FILES] += 1
    if not _skipped(entry.name):
        reading.left_out.append(path)


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in IGNORED_FOLDERS


def _is(kind: Callable[[], bool]) -> bool:
    """Return whether an entry, or what it links to, is of a kind; it is not opened."""
    try:
        return kind()
    except OSError:  # a link to itself
        return False
