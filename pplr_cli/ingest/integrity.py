"""Checks every image of a data set: does it decode, what is its digest, which files are equal.

Copies are files of the same bytes, found by the digests of a checked manifest. The same picture in
train and in query or gallery is leakage: it raises the scores.
"""

import hashlib
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

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
    """What an examination found.

    Attributes:
        contents: SHA-256 (hexadecimal) of every file that could be read, by path.
        faults: files that cannot be used, in the order of the paths.
        poor: paths of images narrower or lower than `POOR_SIDE`.
        flat: paths of images of at most `FEW_LEVELS` grey levels.
    """

    contents: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    poor: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)


def examine(manifest: Manifest, reporter: Reporter) -> Examined:
    """Decode every image in full, on every core, and compute the digest of its file."""
    paths = list(dict.fromkeys(manifest.paths))
    found = Examined()

    def work(index: int) -> None:
        path = paths[index]
        with open_regular(manifest.root / path) as file:
            found.contents[path] = hashlib.file_digest(file, "sha256").hexdigest()
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


@dataclass(frozen=True)
class Copies:
    """Pictures that a data set holds more than once.

    Attributes:
        further: images beyond the first of each picture.
        leaked: pairs of a training image and a query or gallery image of the same bytes.
        found_by_itself: pairs of a query and a gallery image of the same bytes.
        contradicting: pairs of images of the same bytes under different identities.
    """

    further: int
    leaked: tuple[Pair, ...]
    found_by_itself: tuple[Pair, ...]
    contradicting: tuple[Pair, ...]


def find_copies(manifest: Manifest) -> Copies:
    """Find images of the same bytes; images without a recorded digest are ignored."""
    groups: defaultdict[str, list[Image]] = defaultdict(list)
    for image in manifest.images:
        if image.path in manifest.contents:
            groups[manifest.contents[image.path]].append(image)
    alike = [group for group in groups.values() if len(group) > 1]
    test = (Split.QUERY, Split.GALLERY)
    return Copies(
        sum(len(group) - 1 for group in alike),
        tuple(pair for group in alike if (pair := _pair(group, (Split.TRAIN,), test))),
        tuple(pair for group in alike if (pair := _pair(group, test[:1], test[1:]))),
        tuple(pair for group in alike if (pair := _contradiction(group))),
    )


def _pair(group: list[Image], left: tuple[Split, ...], right: tuple[Split, ...]) -> Pair | None:
    """Return the first image of some splits and the first of others, if there are both."""
    one = next((image for image in group if image.split in left), None)
    other = next((image for image in group if image.split in right), None)
    return (one, other) if one and other else None


def _contradiction(group: list[Image]) -> Pair | None:
    """Return the first image with an identity and the first with another, if there are both."""
    named = [image for image in group if image.identity != UNKNOWN]
    other = next((image for image in named if image.identity != named[0].identity), None)
    return (named[0], other) if other else None


def find_collisions(paths: list[str]) -> list[tuple[str, str]]:
    """Return pairs of paths that are equal on disks that ignore letter case or accent forms."""
    first: dict[str, str] = {}
    pairs = []
    for path in dict.fromkeys(paths):
        key = unicodedata.normalize("NFC", portable(path)).casefold()
        if first.setdefault(key, path) != path:
            pairs.append((first[key], path))
    return pairs
