"""Open the images that a user names: a folder, one file, or a prepared data set."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pplr_cli.data.images import Image, ImageSet, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.crops import compile_pattern, read_crops
from pplr_cli.ingest.layouts import FOLDER
from pplr_cli.ingest.library import find_dataset, prepared_names
from pplr_cli.progress import Reporter
from pplr_cli.text import listed, named

HINT = "replace or remove these files"
OR_SKIP = f"{HINT}, or leave them out with --skip-bad"


def open_images(
    source: Path, data_dir: Path, reporter: Reporter, *, pattern: str | None = None
) -> ImageSet:
    """Return the images of a folder, a file, or a prepared data set (of all its splits).

    Args:
        source: a folder (with a manifest: a prepared data set), an image, or the name of a data
            set in the data folder.
        data_dir: the data folder.
        reporter: gets the counts of what is left out.
        pattern: for a folder: regular expression that finds camera, track, ... in each path.

    Raises:
        UsageError: a wrong pattern, or one for a data set.
        DataError: no such path or data set, no image in it, or folders that cannot be read.
    """
    home = _home(source, data_dir)
    if not is_prepared(source, data_dir):
        hint = f"check the path; prepared data sets: {named(prepared_names(data_dir)) or 'none'}"
        return open_folder(source, reporter, OR_SKIP, pattern=pattern, missing=hint)
    if pattern is not None:
        raise UsageError(f"`{source}` is a prepared data set", "leave out `--pattern`")
    home = home.resolve()
    manifest = find_dataset(home.name, home.parent)
    assert manifest is not None
    return replace(manifest.split(), hint=OR_SKIP)


def is_prepared(source: Path, data_dir: Path) -> bool:
    """Return whether `source` is a prepared data set: its folder, or its name."""
    return (_home(source, data_dir) / FILE_NAME).is_file()


def _home(source: Path, data_dir: Path) -> Path:
    return source if source.exists() else data_dir / source


def open_folder(
    path: Path,
    reporter: Reporter,
    hint: str = HINT,
    *,
    pattern: str | None = None,
    missing: str = "check the path",
) -> ImageSet:
    """Return the images below a folder, at any depth, or the one image that `path` is.

    A file with several names (links) counts once, under the first of them. EXIF orientation will
    be applied, as in a data set made from a folder.

    Args:
        path: folder or image.
        reporter: gets the counts of what is left out.
        hint: the hint of errors about broken images.
        pattern: regular expression that finds camera, track, ... in each path.
        missing: the hint if there is no such path.

    Raises:
        UsageError: a wrong pattern.
        DataError: no such path, no image in it, or folders that cannot be read.
    """
    if path.is_file():
        image = Image(Split.TRAIN, path.name)
        return replace(Manifest("", FOLDER, path.parent, (image,), {}).split(), hint=hint)
    if not path.is_dir():
        raise DataError(f"`{path}`: no such file or folder", missing)
    reading = read_crops(path, None if pattern is None else compile_pattern(pattern))
    for reason, count in reading.notes.items():
        reporter.info(f"`{path}`: {reason}: {count:,}")
    if reading.left_out:
        reporter.warn(f"`{path}`: links that lead nowhere or back up:\n{listed(reading.left_out)}")
    manifest = Manifest("", FOLDER, path, tuple(reading.images), {}, names=reading.names)
    images = replace(manifest.split(), hint=hint)
    first = {file: number for number, file in reversed(list(enumerate(same_files(images))))}
    if len(first) < len(images):
        twice = len(images) - len(first)
        reporter.info(f"`{path}`: further names of the same files left out: {twice:,}")
    return images.take(np.array(sorted(first.values())))


def same_files(images: ImageSet) -> list[tuple[int, int]]:
    """Return device and inode of each image, which identify its file under any name."""
    return [(status.st_dev, status.st_ino) for status in (f.stat() for f in images.files)]
