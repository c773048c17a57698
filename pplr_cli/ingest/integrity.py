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
"""Pixels: images that are narrower or lower can be used, but their number is told."""


@dataclass
class Examined:
    """What was found.

    Attributes:
        contents: SHA-256 (hexadecimal) of every file that could be read, by path.
        faults: files that cannot be used, in the order of the paths.
        poor: paths of images narrower or lower than `POOR_SIDE`.
    """

    contents: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    poor: list[str] = field(default_factory=list)


def examine(manifest: Manifest, reporter: Reporter) -> Examined:
    """Decode every image in full, on every core, and take the digest of its file."""
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

    found.faults = for_all(paths, work, "checking images", reporter, host.cores())
    return found


def differences(manifest: Manifest, examined: Examined) -> list[Fault]:
    """Return what is not as it was when the data set was prepared: gone, changed or broken."""
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


@dataclass(frozen=True)
class Copies:
    """What is there more than once.

    Attributes:
        further: images beyond the first of each picture.
        leaked: pairs of a training image and a query or gallery image of the same bytes.
        contradicting: pairs of images of the same bytes under different identities.
    """

    further: int
    leaked: tuple[tuple[Image, Image], ...]
    contradicting: tuple[tuple[Image, Image], ...]


def find_copies(manifest: Manifest) -> Copies:
    """Find the images of the same bytes; those without a recorded digest are passed over."""
    groups: defaultdict[str, list[Image]] = defaultdict(list)
    for image in manifest.images:
        if image.path in manifest.contents:
            groups[manifest.contents[image.path]].append(image)
    alike = [group for group in groups.values() if len(group) > 1]
    return Copies(
        sum(len(group) - 1 for group in alike),
        tuple(pair for group in alike if (pair := _leak(group))),
        tuple(pair for group in alike if (pair := _contradiction(group))),
    )


def _leak(group: list[Image]) -> tuple[Image, Image] | None:
    """Return the first training image and the first other one, if there are both."""
    train = next((image for image in group if image.split == Split.TRAIN), None)
    other = next((image for image in group if image.split != Split.TRAIN), None)
    return (train, other) if train and other else None


def _contradiction(group: list[Image]) -> tuple[Image, Image] | None:
    """Return the first image with an identity and the first with another, if there are both."""
    named = [image for image in group if image.identity != UNKNOWN]
    other = next((image for image in named if image.identity != named[0].identity), None)
    return (named[0], other) if other else None


def find_collisions(paths: list[str]) -> list[tuple[str, str]]:
    """Return pairs of paths that are one on disks that do not tell upper and lower case apart."""
    first: dict[str, str] = {}
    pairs = []
    for path in dict.fromkeys(paths):
        key = unicodedata.normalize("NFC", portable(path)).casefold()
        if first.setdefault(key, path) != path:
            pairs.append((first[key], path))
    return pairs
