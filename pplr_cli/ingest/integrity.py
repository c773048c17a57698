"""Checks every image of a data set: does it decode, what is its digest, which files are equal."""

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from PIL import Image as Picture

from pplr_cli import host
from pplr_cli.data.decode import Fault, decode_opened, for_all, open_regular
from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.files import atomic_write, portable
from pplr_cli.ingest.checks import Checks
from pplr_cli.progress import Reporter

CHANGED = "changed since the data set was prepared"
POOR_SIDE = 16
"""Pixels: narrower or lower images can be used, but they are counted."""
FEW_LEVELS = 16
"""Images of at most this many grey levels show next to nothing, e.g. thermal images stored in a
small part of the 16-bit range."""
POOR, FLAT = 1, 2


@dataclass
class Examined:
    """What an examination found, by path."""

    contents: dict[str, str] = field(default_factory=dict)  # SHA-256 of every readable file
    faults: list[Fault] = field(default_factory=list)  # unusable files, in the order of the paths
    poor: list[str] = field(default_factory=list)  # narrower or lower than `POOR_SIDE`
    flat: list[str] = field(default_factory=list)  # of at most `FEW_LEVELS` grey levels


def examine(
    manifest: Manifest,
    reporter: Reporter,
    known: Mapping[str, str] = MappingProxyType({}),
    checks: Checks | None = None,
) -> Examined:
    """Compute the digest of every file, and decode it unless it has the `known` one of its path.

    Files that are unchanged since earlier `checks`, if given, are not read.
    """
    root, paths = manifest.root, list(dict.fromkeys(manifest.paths))
    found = Examined()
    by_quality = {POOR: found.poor, FLAT: found.flat}
    for path, (content, quality) in (checks.unchanged(paths) if checks else {}).items():
        found.contents[path] = content
        if quality:
            by_quality[quality].append(path)
    if found.contents:
        reporter.info(f"unchanged since they were checked: {len(found.contents):,} images")
    rest = [path for path in paths if path not in found.contents]

    def work(index: int) -> None:
        path = rest[index]
        with open_regular(root / path) as file:
            status = os.fstat(file.fileno())
            content = found.contents[path] = hashlib.file_digest(file, "sha256").hexdigest()
            if known.get(path) == content:
                return
            file.seek(0)
            quality = _quality(decode_opened(file, upright=manifest.upright))
        if quality:
            by_quality[quality].append(path)
        if checks is not None:
            checks.add(path, status, content, quality)

    try:
        found.faults = for_all(rest, work, "checking images", reporter, host.cores())
    finally:
        if checks is not None and rest:
            checks.save()
    return found


def _quality(image: Picture.Image) -> int:
    """Return `POOR`, `FLAT` or 0 for an image that is neither."""
    if min(image.size) < POOR_SIDE:
        return POOR
    return FLAT if sum(map(bool, image.convert("L").histogram())) <= FEW_LEVELS else 0


def differences(manifest: Manifest, examined: Examined) -> list[Fault]:
    """Return the images that are gone, changed or broken since the data set was prepared."""
    reasons = {fault.path: fault.reason for fault in examined.faults}
    for path, content in examined.contents.items():
        if manifest.contents.get(path, content) != content:
            broken = f" ({reasons[path]})" if path in reasons else ""
            reasons[path] = f"{CHANGED}{broken}"
    return [Fault(path, reasons[path]) for path in manifest.paths if path in reasons]


def write_faults(path: Path, faults: list[Fault]) -> None:
    """Write one line for each file: its path, a tab, the reason; no faults remove the file."""
    if not faults:
        path.unlink(missing_ok=True)
        return
    text = "".join(f"{portable(fault.path)}\t{fault.reason}\n" for fault in faults)
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


Pair = tuple[Image, Image]


def find_copies(manifest: Manifest) -> list[list[Image]]:
    """Group the images whose files have the same bytes; those without digest are ignored."""
    groups: defaultdict[str, list[Image]] = defaultdict(list)
    contents = manifest.contents
    number = Counter(contents.get(image.path) for image in manifest.images)
    for image in manifest.images:
        content = contents.get(image.path)
        if content is not None and number[content] > 1:
            groups[content].append(image)
    return list(groups.values())


def between_splits(
    copies: list[list[Image]], left: Collection[Split], right: Collection[Split]
) -> list[Pair]:
    """Return each picture's first image in some splits and its first in others, if it has both."""
    found = [
        [next((i for i in group if i.split in splits), None) for splits in (left, right)]
        for group in copies
    ]
    return [(one, other) for one, other in found if one and other]


def contradictions(copies: list[list[Image]]) -> list[Pair]:
    """Return each picture's first image with an identity and its first with another one."""
    pairs = []
    for group in copies:
        named = [image for image in group if image.identity != UNKNOWN]
        others = [image for image in named if image.identity != named[0].identity]
        pairs += [(named[0], other) for other in others[:1]]
    return pairs


def find_collisions(paths: list[str]) -> list[tuple[str, str]]:
    """Return pairs of paths that are equal on disks that ignore letter case or accent forms."""
    first: dict[str, str] = {}
    pairs = []
    for path in dict.fromkeys(paths):
        key = unicodedata.normalize("NFC", portable(path)).casefold()
        if first.setdefault(key, path) != path:
            pairs.append((first[key], path))
    return pairs
