"""Decides which defects of a data set are errors and which are warnings.

Errors: broken images (with `--skip-bad` they are left out); in own data also the same picture in
train and in query or gallery, and a test part that cannot be evaluated. The public data sets are
taken as they are. Everything else is a warning.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pplr_cli.data.decode import Fault
from pplr_cli.data.manifest import Image, Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.integrity import (
    FEW_LEVELS,
    POOR_SIDE,
    Examined,
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


@dataclass(frozen=True)
class Inspection:
    """A checked data set.

    Attributes:
        manifest: with the digest of every image, without the broken ones.
        skipped: the broken images that were left out.
        warnings: the warnings.
    """

    manifest: Manifest
    skipped: tuple[Fault, ...]
    warnings: tuple[Concern, ...]


def inspect(
    request: PrepareRequest, manifest: Manifest, left_out: Sequence[str], reporter: Reporter
) -> Inspection:
    """Check every image of a data set that is being prepared.

    Args:
        request: the request.
        manifest: as read, without digests.
        left_out: paths of folders, links and special files that were left out.
        reporter: gets the progress.

    Raises:
        DataError: broken images without `--skip-bad`, or what the rules call an error.
    """
    examined = examine(manifest, reporter)
    write_faults(request.fault_list, examined.faults)
    if examined.faults and not request.skip_bad:
        raise _broken(request, manifest, examined.faults)
    kept = _without(manifest, examined)
    warnings = [*_skipped(request, examined.faults), *warnings_for(kept, examined)]
    if left_out:
        warnings.append(
            Concern(
                f"folders, links and special files left out: {len(left_out)}\n{listed(left_out)}",
                "a link may lead to a folder, but not to one above itself; restore the target of a "
                "broken one",
            )
        )
    return Inspection(kept, tuple(examined.faults), tuple(warnings))


def changed(manifest: Manifest, faults: Sequence[Fault]) -> DataError:
    """Return the error for a prepared data set with changed images (the first 20 are named)."""
    return DataError(
        f"`{manifest.root}`: {len(faults)} of {len(manifest.images)} images are not as they were "
        f"when data set `{manifest.name}` was prepared:\n{_lines(faults)}",
        "put the files back, or move the data set away and prepare it again",
    )


def report_warnings(
    manifest: Manifest, warnings: Iterable[Concern], reporter: Reporter
) -> tuple[str, ...]:
    """Report the warnings and return their messages."""
    concerns = tuple(warnings)
    for concern in concerns:
        reporter.warn(f"data set `{manifest.name}`: {concern.message}", concern.hint)
    return tuple(concern.message for concern in concerns)


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


def _skipped(request: PrepareRequest, faults: list[Fault]) -> Iterator[Concern]:
    if faults:
        shown = f"{_lines(faults)}\n  all of them: `{request.fault_list}`"
        yield Concern(f"unusable images left out: {len(faults)}\n{shown}")


def warnings_for(manifest: Manifest, examined: Examined) -> Iterator[Concern]:
    """Yield the warnings about a checked data set.

    Raises:
        DataError: leakage, or a test part that cannot be evaluated, in own data.
    """
    copies = find_copies(manifest)
    if copies.leaked:
        yield _leakage(manifest, copies.leaked)
    yield from check_test_part(manifest)
    if copies.found_by_itself and manifest.layout == FOLDER:
        yield Concern(
            f"pictures both in query and in gallery: {_pairs(copies.found_by_itself)}",
            "they are left out of the ranking of their own query",
        )
    if copies.contradicting:
        pairs = _pairs(copies.contradicting, lambda image: manifest.names.identity(image.identity))
        yield Concern(f"pictures under several identities: {pairs}", "correct one of the two")
    if collisions := find_collisions(manifest.paths):
        shown = listed([f"{a} and {b}" for a, b in collisions])
        yield Concern(f"names that some disks take for the same:\n{shown}")
    yield from _weak(manifest, examined)


def _pairs(
    pairs: Sequence[tuple[Image, Image]], note: Callable[[Image], str] = lambda image: image.split
) -> str:
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


def _leakage(manifest: Manifest, leaked: Sequence[tuple[Image, Image]]) -> Concern:
    """Return the warning about leakage; in own data it is an error."""
    text = f"pictures both in train and in query or gallery: {_pairs(leaked)}"
    hint = "remove them from one of the two: scores on training images are too high"
    if manifest.layout == FOLDER:
        raise DataError(f"`{manifest.root}`: {text}", hint)
    return Concern(text, hint)
