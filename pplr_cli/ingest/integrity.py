"""Checks every image of a data set: does it decode, what is its digest, which files are equal."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pplr_cli import host
from pplr_cli.data.decode import Fault, decode_opened, for_all, open_regular
from pplr_cli.data.manifest import UNKNOWN, Image, Manifest, Split
from pplr_cli.files import atomic_write, portable
from pplr_cli.progress import Reporter

CHANGED = "changed since the data set was prepared"
POOR_SIDE = 16
"""Pixels: narrower or lower images can be used, but they are counted."""
FEW_LEVELS = 16
"""Images of at most this many grey levels show next to nothing, e.g. thermal images stored in a
small part of the 16-bit range."""


@dataclass
class Examined:
    """What an examination found, by path."""

    contents: dict[str, str] = field(default_factory=dict)  # SHA-256 of every readable file
    faults: list[Fault] = field(default_factory=list)  # unusable files, in the order of the paths
    poor: list[str] = field(default_factory=list)  # narrower or lower than `POOR_SIDE`
    flat: list[str] = field(default_factory=list)  # of at most `FEW_LEVELS` grey levels


def examine(
    manifest: Manifest, reporter: Reporter, known: Mapping[str, str] = MappingProxyType({})
) -> Examined:
    """Compute the digest of every file, and decode it unless it has the `known` one of its path."""
    paths = list(dict.fromkeys(manifest.paths))
    found = Examined()

    def work(index: int) -> None:
        path = paths[index]
        with open_regular(manifest.root / path) as file:
            found.contents[path] = hashlib.file_digest(file, "sha256").hexdigest()
            if known.get(path) == found.contents[path]:
                return
            file.seek(0)
            image = decode_opened(file, upright=manifest.upright)
        if min(image.size) < POOR_SIDE:
            found.poor.append(path)
        elif sum(map(bool, image.convert("L").histogram())) <= FEW_LEVELS:
            found.flat.append(path)

    found.faults = for_all(paths, work, "checking images", reporter, host.cores())
    return found


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
    for image in manifest.images:
        if image.path in manifest.contents:
            groups[manifest.contents[image.path]].append(image)
    return [group for group in groups.values() if len(group) > 1]


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
