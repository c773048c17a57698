"""From a tree that was read to a manifest that can be trusted, or an error that says why not.

The rules: broken images are an error, with `--skip-bad` they are left out. The same picture in
train and in query or gallery is an error for own data and a warning for the public data sets,
which are as they are. A query and gallery part that cannot be evaluated is an error for own data.
Copies, contradicting identities, tiny images and names that only letter case keeps apart are
warnings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pplr_cli.data.decode import Fault
from pplr_cli.data.manifest import Image, ImageSet, Manifest, Split
from pplr_cli.errors import DataError
from pplr_cli.ingest.integrity import (
    POOR_SIDE,
    Examined,
    examine,
    find_collisions,
    find_copies,
    write_faults,
)
from pplr_cli.ingest.layouts import FOLDER
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

SKIPPED = "unusable images left out (--skip-bad)"
COPIES = "further copies of the same picture kept"


@dataclass(frozen=True)
class Inspection:
    """A checked data set.

    Attributes:
        manifest: with the digest of every image, without the broken ones.
        skipped: the broken images that were left out.
        warnings: what is not as it should be, a text each.
    """

    manifest: Manifest
    skipped: tuple[Fault, ...]
    warnings: tuple[str, ...]


def inspect(request: PrepareRequest, manifest: Manifest, reporter: Reporter) -> Inspection:
    """Check every image of a data set that is to be prepared.

    Raises:
        DataError: broken images without `--skip-bad`, or what the rules call an error.
    """
    examined = examine(manifest, reporter)
    write_faults(request.fault_list, examined.faults)
    if examined.faults and not request.skip_bad:
        raise _broken(request, manifest, examined.faults)
    kept = _without(manifest, examined)
    warnings = (*_skipped(request, examined.faults), *warnings_for(kept, examined))
    return Inspection(kept, tuple(examined.faults), warnings)


def changed(manifest: Manifest, faults: Sequence[Fault]) -> DataError:
    """Return the error for a prepared data set that is not as it was (the first 20 are named)."""
    return DataError(
        f"`{manifest.root}`: {len(faults)} of {len(manifest.images)} images are not as they were "
        f"when data set `{manifest.name}` was prepared:\n{_lines(faults)}",
        "put the files back, or move the data set away and prepare it anew",
    )


def report_warnings(
    manifest: Manifest, warnings: Iterable[str], reporter: Reporter
) -> tuple[str, ...]:
    """Report the warnings and return them."""
    told = tuple(warnings)
    for warning in told:
        reporter.warn(f"data set `{manifest.name}`: {warning}")
    return told


def _broken(request: PrepareRequest, manifest: Manifest, faults: list[Fault]) -> DataError:
    return DataError(
        f"`{manifest.root}`: {len(faults)} of {len(manifest.images)} image files cannot be used:\n"
        f"{_lines(faults)}\n  all of them: `{request.fault_list}`",
        f"replace or remove these files, or leave them out: `{request.command('--skip-bad')}`",
    )


def _lines(faults: Sequence[Fault]) -> str:
    return listed([str(fault) for fault in faults])


def _without(manifest: Manifest, examined: Examined) -> Manifest:
    """Record the digests and leave the broken images out; no split may lose its last image."""
    bad = {fault.path for fault in examined.faults}
    images = tuple(image for image in manifest.images if image.path not in bad)
    lost = {image.split for image in manifest.images} - {image.split for image in images}
    if lost:
        message = f"`{manifest.root}`: no {min(lost)} image can be used:\n"
        raise DataError(message + _lines(examined.faults), "fetch the data set again")
    contents = {image.path: examined.contents[image.path] for image in images}
    kept = replace(manifest, images=images, contents=contents)
    notes = Counter(manifest.notes)
    notes[SKIPPED] = len(manifest.images) - len(images)
    notes[COPIES] = find_copies(kept).further
    return replace(kept, notes={reason: notes[reason] for reason in sorted(+notes)})


def _skipped(request: PrepareRequest, faults: list[Fault]) -> Iterator[str]:
    if faults:
        yield (
            f"unusable images left out: {len(faults)}\n{_lines(faults)}\n"
            f"  all of them: `{request.fault_list}`"
        )


def warnings_for(manifest: Manifest, examined: Examined) -> Iterator[str]:
    """Yield the warnings about a checked data set.

    Raises:
        DataError: leakage, or a test part that cannot be evaluated, in own data.
    """
    copies = find_copies(manifest)
    if copies.leaked:
        yield _leakage(manifest, copies.leaked)
    if manifest.layout == FOLDER:
        _check_test_part(manifest)
    if copies.contradicting:
        pairs = [
            f"{a.path} ({a.identity}) = {b.path} ({b.identity})" for a, b in copies.contradicting
        ]
        yield f"pictures under several identities: {len(pairs)}\n{listed(pairs)}"
    if collisions := find_collisions(manifest.paths):
        shown = listed([f"{a} and {b}" for a, b in collisions])
        yield f"names that some disks take for the same:\n{shown}"
    poor = sorted(set(examined.poor) & set(manifest.paths))
    if poor:
        yield f"images under {POOR_SIDE} pixels wide or high: {len(poor)}\n{listed(poor, 5)}"


def _leakage(manifest: Manifest, leaked: tuple[tuple[Image, Image], ...]) -> str:
    """Word the leakage; for own data it is an error."""
    pairs = [f"{a.path} (train) = {b.path} ({b.split})" for a, b in leaked]
    text = f"pictures both in train and in query or gallery: {len(pairs)}\n{listed(pairs)}"
    if manifest.layout != FOLDER:
        return text
    hint = "take them out of one of the two: scores on pictures of the training flatter"
    raise DataError(f"`{manifest.root}`: {text}", hint)


def _check_test_part(manifest: Manifest) -> None:
    """Check that own query and gallery images can be evaluated, if there are any."""
    sets = {split: manifest.split(split) for split in (Split.QUERY, Split.GALLERY)}
    if not any(map(len, sets.values())):
        return
    hint = "evaluation needs query and gallery images, each with identity and camera"
    for split, images in sets.items():
        if not len(images):
            other = Split.GALLERY if split == Split.QUERY else Split.QUERY
            raise DataError(f"`{manifest.root}`: {other} images, but no {split} images", hint)
        for what, known in (("identity", images.has_identities), ("camera", images.has_cameras)):
            if not known:
                raise DataError(f"`{manifest.root}`: {split} images without {what}", hint)
    if not _found_by_another_camera(sets[Split.QUERY], sets[Split.GALLERY]):
        what = "no query has a gallery image of its identity by another camera"
        raise DataError(f"`{manifest.root}`: {what}", "check identities and cameras")


def _found_by_another_camera(query: ImageSet, gallery: ImageSet) -> bool:
    """Tell whether any query has a gallery image of its identity by another camera."""
    seen: dict[int, set[int]] = {}
    for identity, camera in zip(gallery.identities.tolist(), gallery.cameras.tolist(), strict=True):
        seen.setdefault(identity, set()).add(camera)
    pairs = np.stack([query.identities, query.cameras], 1).tolist()
    return any(seen.get(identity, set()) - {camera} for identity, camera in pairs)
