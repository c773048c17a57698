"""Compares a data set with one that is there already, and brings that up to date."""

import shutil
from dataclasses import replace
from pathlib import Path

from pplr_cli.data.images import UNKNOWN, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.layouts import FOLDER, MOT
from pplr_cli.ingest.staging import IMAGES, copied
from pplr_cli.progress import Reporter

LABELS = {"identity": UNKNOWN, "camera": UNKNOWN, "track": UNKNOWN, "split": Split.TRAIN}
"""What an image can have, and the value of those that do not."""


def with_other_sequences(new: Manifest, old: Manifest) -> Manifest:
    """Return `new` with the images of the sequences that only `old` has; their folders are linked.

    `new` are the crops of the sequences with a folder in its root.
    """
    again = {folder.name for folder in new.root.iterdir()}
    kept = [image for image in old.images if image.path.partition("/")[0] not in again]
    for name in {image.path.partition("/")[0] for image in kept}:
        (new.root / name).symlink_to(old.root.resolve() / name)
    return replace(new, images=(*new.images, *kept))


def copy_changes(
    old: Manifest, new: Manifest, folder: Path, staging: Path, reporter: Reporter
) -> Manifest:
    """Copy what is new, save the manifest, then remove what is gone; return the manifest.

    A killed update is completed by the next one: the manifest is saved when all its images are
    there, and before any image is removed.

    The images of `old` were copied below `folder`; `new` are those of the source, with digests;
    `staging` is the staged folder, which is removed.

    Raises:
        PplrError: too little space.
    """
    fresh = {
        path
        for path, content in new.contents.items()
        if old.contents.get(path) != content or not (old.root / path).is_file()
    }
    part = replace(new, images=tuple(image for image in new.images if image.path in fresh))
    there = copied(part, staging / IMAGES, reporter)
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


def check_labels_stay(old: Manifest, new: Manifest) -> None:
    """Refuse an update that would drop all identities, cameras, tracks or splits.

    Raises:
        DataError: `old` has some, `new` has none: `--pattern` or `--csv` was left out.
    """
    lost = [
        name
        for name, nothing in LABELS.items()
        if any(getattr(image, name) != nothing for image in old.images)
        and all(getattr(image, name) == nothing for image in new.images)
    ]
    if lost:
        raise DataError(
            f"`{old.name}`: the update would drop the {' and the '.join(lost)} of all images",
            "repeat the `--pattern` or `--csv` that the data set was prepared with",
        )


def describe_changes(old: Manifest, new: Manifest) -> str:
    """Return how many images were added, changed, dropped, kept, and labelled anew."""
    before, after = old.contents, new.contents
    added, dropped = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    kept = sum(before.get(path) == content for path, content in after.items())
    changed = len(after) - added - kept
    text = f"{added:,} added, {changed:,} changed, {dropped:,} dropped, {kept:,} kept"
    labels = {image.path: image for image in old.images}
    anew = sum(labels.get(image.path, image) != image for image in new.images)
    return f"{text}, {anew:,} of them with other labels" if anew else text


def taken(folder: Path, manifest: Manifest) -> DataError:
    """Return the error for a name that is in use; it says how the two data sets differ."""
    there = Manifest.load(folder / FILE_NAME)
    if set(there.paths) != set(manifest.paths):
        what = "other images"
    elif (there.images, there.names) != (manifest.images, manifest.names):
        what = "other identities, cameras, splits or tracks"
    elif manifest.contents and there.contents != manifest.contents:
        what = "images of the same names but other contents"
    else:
        what = "a copy of these images"
    update = "bring it up to date with `--update`, " if there.layout in (FOLDER, MOT) else ""
    return DataError(
        f"`{folder}`: this data set is there already, with {what}",
        f"{update}choose another name with `--name`, or move `{folder}` away and run the command "
        "again",
    )
