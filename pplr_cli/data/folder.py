"""Image files as they lie in a folder, for commands that need no prepared data set."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pplr_cli.data.crops import read_crops
from pplr_cli.data.decode import decode
from pplr_cli.data.manifest import UNKNOWN, ImageSet
from pplr_cli.errors import DataError
from pplr_cli.progress import Reporter
from pplr_cli.wording import listed


def open_folder(path: Path, reporter: Reporter) -> ImageSet:
    """Return the images below a folder, at any depth, or the one image that `path` is.

    A file that several names lead to (links) counts once, under the first of them.

    Raises:
        DataError: there is no such path, or no image in it.
    """
    if path.is_file():
        return _image_set(path.parent, [path.name])
    if not path.is_dir():
        raise DataError(f"`{path}`: no such file or folder", "check the path")
    reading = read_crops(path, None)
    for reason, count in reading.notes.items():
        reporter.info(f"`{path}`: {reason}: {count:,}")
    images = _image_set(path, [image.path for image in reading.images])
    first = {file: number for number, file in reversed(list(enumerate(same_files(images))))}
    if len(first) < len(images):
        twice = len(images) - len(first)
        reporter.info(f"`{path}`: further names of the same files left out: {twice:,}")
    return _image_set(path, [images.paths[number] for number in sorted(first.values())])


def same_files(images: ImageSet) -> list[tuple[int, int]]:
    """Return for each image what tells its file from others, whatever its name is."""
    return [(status.st_dev, status.st_ino) for status in (f.stat() for f in images.files)]


def without_broken(images: ImageSet, reporter: Reporter, workers: int) -> ImageSet:
    """Return the images that can be decoded, and name the others in a warning.

    Raises:
        DataError: none can.
    """
    with (
        reporter.task("checking images", len(images), "images") as task,
        ThreadPoolExecutor(workers) as threads,
    ):
        faults = []
        for fault in threads.map(_fault, images.files):
            faults.append(fault)
            task.advance()
    whole = [path for path, fault in zip(images.paths, faults, strict=True) if fault is None]
    if len(whole) < len(images):
        lines = [f"{p}: {f}" for p, f in zip(images.paths, faults, strict=True) if f is not None]
        message = f"`{images.root}`: {len(lines)} of {len(images)} image files cannot be used"
        if not whole:
            raise DataError(f"{message}:\n{listed(lines)}", "check the path")
        reporter.warn(f"{message} and are left out:\n{listed(lines)}")
    return _image_set(images.root, whole)


def _fault(file: Path) -> str | None:
    try:
        decode(file)
    except DataError as error:
        return error.message
    return None


def _image_set(root: Path, paths: list[str]) -> ImageSet:
    unknown = np.full(len(paths), UNKNOWN, np.int64)
    return ImageSet(root, tuple(paths), unknown, unknown)
