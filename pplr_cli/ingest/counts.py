"""Counts of a data set's splits, beside the published ones."""

from dataclasses import dataclass

from pplr_cli.data.manifest import UNKNOWN, Manifest, Split
from pplr_cli.ingest.layouts import LAYOUTS, Published


@dataclass(frozen=True)
class Count:
    """A number, and what was published: empty = nothing, several = releases differ."""

    value: int
    published: tuple[int, ...]

    @property
    def differs(self) -> bool:
        """Whether a count is published and it is another one."""
        return bool(self.published) and self.value not in self.published

    @property
    def published_text(self) -> str:
        """The published count for people; `-` where there is none."""
        return " or ".join(f"{count:,}" for count in self.published) or "-"


@dataclass(frozen=True)
class SplitCounts:
    """The counts of one split; unknown identities and cameras count as none."""

    split: Split
    images: Count
    identities: Count
    cameras: Count

    def differences(self) -> list[str]:
        """Name the counts that differ from the published ones."""
        return [
            f"{self.split}: {count.value:,} {what}, published {count.published_text}"
            for what, count in (
                ("images", self.images),
                ("identities", self.identities),
                ("cameras", self.cameras),
            )
            if count.differs
        ]


def count_splits(manifest: Manifest) -> tuple[SplitCounts, ...]:
    """Count every split that holds images or for which counts are published."""
    layout = LAYOUTS.get(manifest.layout)
    counts = []
    for split in Split:
        published = layout.published[split] if layout else Published()
        images = [image for image in manifest.images if image.split == split]
        identities = {image.identity for image in images} - {UNKNOWN}
        cameras = {image.camera for image in images} - {UNKNOWN}
        if images or published.images:
            counts.append(
                SplitCounts(
                    split,
                    Count(len(images), published.images),
                    Count(len(identities), published.identities),
                    Count(len(cameras), published.cameras),
                )
            )
    return tuple(counts)
