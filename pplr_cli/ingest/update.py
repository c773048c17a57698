"""Brings the copied images of a data set up to date with their source."""

import shutil
from dataclasses import replace
from pathlib import Path

from pplr_cli.data.manifest import Manifest
from pplr_cli.ingest.staging import copied, staged
from pplr_cli.progress import Reporter


def copy_changes(old: Manifest, new: Manifest, folder: Path, reporter: Reporter) -> Manifest:
    """Copy what is new, save the manifest, then remove what is gone; return the manifest.

    A killed update is completed by the next one: the manifest is saved when all its images are
    there, and before any image is removed.

    Args:
        old: the data set, its images copied below `folder`.
        new: the images of the source, with digests.
        folder: the folder of the data set.
        reporter: gets the progress.

    Raises:
        PplrError: too little space, or another process is preparing the data set.
    """
    fresh = {
        path
        for path, content in new.contents.items()
        if old.contents.get(path) != content or not (old.root / path).is_file()
    }
    with staged(folder) as staging:
        part = replace(new, images=tuple(image for image in new.images if image.path in fresh))
        there = copied(part, staging / "images", reporter)
        for path in there.paths:
            target = old.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (there.root / path).replace(target)
        updated = replace(new, root=old.root)
        updated.save(folder)
        for path in set(old.paths) - set(new.paths):
            (old.root / path).unlink(missing_ok=True)
        shutil.rmtree(staging)
    return updated


def describe_changes(old: Manifest, new: Manifest) -> str:
    """Return how many images were added, changed, dropped and kept."""
    before, after = old.contents, new.contents
    added, dropped = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    kept = sum(before.get(path) == content for path, content in after.items())
    changed = len(after) - added - kept
    return f"{added:,} added, {changed:,} changed, {dropped:,} dropped, {kept:,} kept"
