"""Opens every image of a data set: does it decode, and what is the digest of its file."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pplr_cli import host
from pplr_cli.data.decode import Fault, decode_opened, for_all, open_regular
from pplr_cli.data.manifest import Manifest
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
