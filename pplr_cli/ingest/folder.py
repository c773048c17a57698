"""Image files of a plain folder, for commands that need no prepared data set."""

from pathlib import Path

import numpy as np

from pplr_cli.data.decode import decode, for_all
from pplr_cli.data.manifest import UNKNOWN, ImageSet
from pplr_cli.errors import DataError
from pplr_cli.ingest.crops import read_crops
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

HINT = "replace or remove these files"


def open_folder(path: Path, reporter: Reporter, hint: str = HINT) -> ImageSet:
    """Return the images below a folder, at any depth, or the one image that `path` is.

    A file with several names (links) counts once, under the first of them. EXIF orientation will
    be applied, as in a data set made from a folder.

    Args:
        path: folder or image.
        reporter: gets the counts of what is left out.
        hint: the hint of errors about broken images.

    Raises:
        DataError: no such path, no image in it, or folders that cannot be read.
    """
    if path.is_file():
        return _image_set(path.parent, [path.name], hint)
    if not path.is_dir():
        raise DataError(f"`{path}`: no such file or folder", "check the path")
    reading = read_crops(path)
    for reason, count in reading.notes.items():
        reporter.info(f"`{path}`: {reason}: {count:,}")
    if reading.left_out:
        reporter.warn(f"`{path}`: links that lead nowhere or back up:\n{listed(reading.left_out)}")
    images = _image_set(path, [image.path for image in reading.images])
    first = {file: number for number, file in reversed(list(enumerate(same_files(images))))}
    if len(first) < len(images):
        twice = len(images) - len(first)
        reporter.info(f"`{path}`: further names of the same files left out: {twice:,}")
    return _image_set(path, [images.paths[number] for number in sorted(first.values())], hint)


def same_files(images: ImageSet) -> list[tuple[int, int]]:
    """Return device and inode of each image, which identify its file under any name."""
    return [(status.st_dev, status.st_ino) for status in (f.stat() for f in images.files)]


def without_broken(images: ImageSet, reporter: Reporter, workers: int) -> ImageSet:
    """Return the images that can be decoded, and warn about the others.

    Raises:
        DataError: none can be decoded.
    """
    files = images.files

    def check(number: int) -> None:
        decode(files[number])

    faults = for_all(images.paths, check, "checking images", reporter, workers)
    if not faults:
        return images
    broken = {fault.path for fault in faults}
    message = f"`{images.root}`: {len(faults)} of {len(images)} image files cannot be used"
    lines = listed([str(fault) for fault in faults])
    if len(broken) == len(images):
        raise DataError(f"{message}:\n{lines}", "check the path")
    reporter.warn(f"{message} and are left out:\n{lines}")
    return _image_set(images.root, [path for path in images.paths if path not in broken])


def _image_set(root: Path, paths: list[str], hint: str = HINT) -> ImageSet:
    unknown = np.full(len(paths), UNKNOWN, np.int64)
    return ImageSet(root, tuple(paths), unknown, unknown, upright=True, hint=hint)
