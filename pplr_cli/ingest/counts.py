"""Counts of a data set's splits, beside the published ones."""

from typing import NamedTuple

from pplr_cli.data.images import UNKNOWN, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.ingest.description import Part
from pplr_cli.ingest.layouts import LAYOUTS


class Count(NamedTuple):
    """A number and the published one: several if releases differ, empty if unknown."""

    value: int
    published: tuple[int, ...]

    @property
    def differs(self) -> bool:
        """Whether another count is published."""
        return bool(self.published) and self.value not in self.published

    @property
    def published_text(self) -> str:
        """The published count for people; `-` if unknown."""
        return " or ".join(f"{count:,}" for count in self.published) or "-"


class SplitCounts(NamedTuple):
    """The counts of one split, without unknown identities and cameras."""

    split: Split
    images: Count
    identities: Count
    cameras: Count

    def differences(self) -> list[str]:
        """Return a line for each count that differs from the published one."""
        return [
            f"{self.split}: {count.value:,} {what}, published {count.published_text}"
            for what, count in zip(self._fields[1:], self[1:], strict=True)
            if count.differs
        ]


def count_splits(manifest: Manifest) -> tuple[SplitCounts, ...]:
    """Count every split that has images or published counts."""
    layout = LAYOUTS.get(manifest.layout)
    counts = []
    for part in layout.parts if layout else [Part(split, ()) for split in Split]:
        images = [image for image in manifest.images if image.split == part.split]
        identities = {image.identity for image in images} - {UNKNOWN}
        cameras = {image.camera for image in images} - {UNKNOWN}
        if images or part.images:
            published = (part.images, part.identities, part.cameras)
            found = map(len, (images, identities, cameras))
            counts.append(SplitCounts(part.split, *map(Count, found, published)))
    return tuple(counts)
