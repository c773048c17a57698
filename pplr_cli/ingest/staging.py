"""Folders that appear under their final name complete or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, PplrError
from pplr_cli.files import check_space, locked, sync_folder
from pplr_cli.progress import Reporter

IMAGES = "images"
"""Folder beside the manifest for images that were unpacked, copied or drawn."""
NO_ROOM = "make room there, or choose another data folder with `--data-dir`"
"""The hint where a data set does not fit on the disk."""


@contextmanager
def staged(final: Path, source: str = "") -> Iterator[Path]:
    """Yield an empty folder beside `final` that is renamed to it when the block succeeds.

    Nothing remains if the block fails or removes the folder; the remains of a killed run are
    removed first. A lock beside the folder is held all the time. Errors in the block name `source`
    instead of the images in the folder, and `final` instead of the folder.

    Raises:
        DataError: another process is preparing the same folder.
    """

    def refuse() -> None:
        raise DataError(f"`{final}`: another pplr is preparing it", "wait until it ends")

    final.parent.mkdir(parents=True, exist_ok=True)
    folder = final.with_name(f".{final.name}.staging")
    with locked(final.with_name(f".{final.name}.lock"), refuse):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
            if folder.exists():
                folder.rename(final)
                sync_folder(final.parent)
        except PplrError as error:
            message = error.message.replace(str(folder / IMAGES), source or str(final))
            raise type(error)(message.replace(str(folder), str(final)), error.hint) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copied(manifest: Manifest, images: Path, reporter: Reporter) -> Manifest:
    """Copy a data set's images into a folder unless they are there; return their manifest.

    Raises:
        PplrError: too little space.
    """
    if manifest.root.is_relative_to(images):
        return manifest
    files = [manifest.root / path for path in manifest.paths]
    needed = sum(file.stat().st_size for file in files)
    check_space(images.parent, needed, f"copying `{manifest.root}`", NO_ROOM)
    images.mkdir()
    with reporter.task("copying images", len(files), "images") as task:
        for file, path in zip(files, manifest.paths, strict=True):
            target = images / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(exist_ok=False)  # fails where letter case does not make two names
            shutil.copyfile(file, target)
            task.advance()
    return replace(manifest, root=images)
