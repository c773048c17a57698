"""Decides which defects of a data set are errors and which are warnings.

Errors: broken images (with `--skip-bad` they are left out); in own data also the same picture in
train and in query or gallery, and a test part that cannot be evaluated. The public data sets are
taken as they are. Everything else is a warning.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pplr_cli.data.decode import Fault, unusable
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.checks import Checks
from pplr_cli.ingest.integrity import (
    FEW_LEVELS,
    POOR_SIDE,
    Examined,
    Pair,
    between_splits,
    contradictions,
    examine,
    find_collisions,
    find_copies,
    write_faults,
)
from pplr_cli.ingest.layouts import FOLDER
from pplr_cli.ingest.protocol import Concern, check_test_part
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

SKIPPED = "unusable images left out (--skip-bad)"
COPIES = "further copies of the same picture kept"


def inspect(
    request: PrepareRequest,
    manifest: Manifest,
    reporter: Reporter,
    known: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Manifest, list[Fault], list[Concern]]:
    """Check every image of a data set that is being prepared.

    The manifest is as read; `known` are SHA-256, by path, of images that were checked before.

    Returns:
        The manifest with the digest of every image, without the broken ones; these; the warnings.

    Raises:
        DataError: broken images without `--skip-bad`, or what the rules call an error.
    """
    checks = Checks(manifest.root, upright=manifest.upright) if request.link else None
    examined = examine(manifest, reporter, known, checks)
    faults, concerns = examined.faults, []
    write_faults(request.fault_list, faults)
    if faults:
        whole = f"\n  all of them: `{request.fault_list}`"
        if not request.skip_bad:
            out = f"leave them out: `{request.command('--skip-bad')}`"
            message = unusable(manifest.split(), faults).message + whole
            raise DataError(message, f"replace or remove these files, or {out}")
        text = f"unusable images left out: {len(faults)}\n{_lines(faults)}{whole}"
        concerns.append(Concern(text))
    kept = _without(manifest, examined)
    concerns += concerns_about(kept, examined)
    return kept, faults, concerns


def changed(manifest: Manifest, faults: Sequence[Fault]) -> DataError:
    """Return the error for a prepared data set with changed images (the first 20 are named)."""
    return DataError(
        f"`{manifest.root}`: {len(faults)} of {len(manifest.images)} images are not as they were "
        f"when data set `{manifest.name}` was prepared:\n{_lines(faults)}",
        "put the files back, or move the data set away and prepare it again",
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
    notes[COPIES] = sum(len(group) - 1 for group in find_copies(kept))
    return replace(kept, notes={reason: notes[reason] for reason in sorted(+notes)})


def concerns_about(manifest: Manifest, examined: Examined) -> Iterator[Concern]:
    """Yield the warnings about a checked data set.

    Raises:
        DataError: leakage, or a test part that cannot be evaluated, in own data.
    """
    own, copies = manifest.layout == FOLDER, find_copies(manifest)
    if leaked := between_splits(copies, [Split.TRAIN], [Split.QUERY, Split.GALLERY]):
        text = f"pictures both in train and in query or gallery: {_pairs(leaked)}"
        hint = "remove them from one of the two: scores on training images are too high"
        if own:
            raise DataError(f"`{manifest.root}`: {text}", hint)
        yield Concern(text, hint)
    yield from check_test_part(manifest)
    if own and (shared := between_splits(copies, [Split.QUERY], [Split.GALLERY])):
        hint = "they are left out of the ranking of their own query"
        yield Concern(f"pictures both in query and in gallery: {_pairs(shared)}", hint)
    if torn := contradictions(copies):
        pairs = _pairs(torn, lambda image: manifest.names.identity(image.identity))
        yield Concern(f"pictures under several identities: {pairs}", "correct one of the two")
    if collisions := find_collisions(manifest.paths):
        shown = listed([f"{a} and {b}" for a, b in collisions])
        yield Concern(f"names that some disks take for the same:\n{shown}")
    yield from _weak(manifest, examined)


def _pairs(pairs: Sequence[Pair], note: Callable[[Image], str] = lambda image: image.split) -> str:
    """Return the number of pairs of equal pictures and the first ones, one a line."""
    lines = [f"{a.path} ({note(a)}) = {b.path} ({note(b)})" for a, b in pairs]
    return f"{len(pairs)}\n{listed(lines)}"


def _weak(manifest: Manifest, examined: Examined) -> Iterator[Concern]:
    """Yield the warnings about images that show little."""
    for found, what, hint in (
        (examined.poor, f"under {POOR_SIDE} pixels wide or high", None),
        (
            examined.flat,
            f"of at most {FEW_LEVELS} grey levels, which show next to nothing",
            "16-bit values are divided by 257: stretch the range in use to 0..65535, or store 8 "
            "bits, and prepare the data set again",
        ),
    ):
        if weak := sorted(set(found) & set(manifest.paths)):
            share = f"{len(weak):,} of {len(manifest.images):,}"
            yield Concern(f"images {what}: {share}\n{listed(weak, 5)}", hint)
