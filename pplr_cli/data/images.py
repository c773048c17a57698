"""Images of a data set: one by one, and as the columns of a set."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""Identity, camera, track or time of an image for which the data set gives none."""


class Split(StrEnum):
    """The three parts of a re-identification data set."""

    TRAIN = "train"
    QUERY = "query"
    GALLERY = "gallery"


SPLITS = {str(split): split for split in Split}


class Image(NamedTuple):
    """One image, by its path below the root, with `/`.

    Tracks are numbered by camera; `time` is a frame number or in seconds, by the camera's clock.
    """

    split: Split
    path: str
    identity: int = UNKNOWN
    camera: int = UNKNOWN
    track: int = UNKNOWN
    time: float = UNKNOWN


@dataclass(frozen=True)
class Names:
    """The user's names of identities, cameras and tracks, by number; only those that differ."""

    identities: Mapping[int, str] = field(default_factory=dict)
    cameras: Mapping[int, str] = field(default_factory=dict)
    tracks: Mapping[int, str] = field(default_factory=dict)

    def identity(self, number: int) -> str:
        """Return the name of an identity; empty if unknown."""
        return "" if number == UNKNOWN else self.identities.get(int(number), str(number))

    def camera(self, number: int) -> str:
        """Return the name of a camera; empty if unknown."""
        return "" if number == UNKNOWN else self.cameras.get(int(number), str(number))

    def track(self, number: int) -> str:
        """Return the name of a track; empty if unknown."""
        return "" if number == UNKNOWN else self.tracks.get(int(number), str(number))


@dataclass(frozen=True)
class ImageSet:
    """The images of a split or of all, in path order; numbers are `UNKNOWN` where there is none."""

    root: Path
    paths: tuple[str, ...]  # N, below the root, with `/`
    identities: NDArray[np.int64]  # [N]
    cameras: NDArray[np.int64]  # [N]
    contents: tuple[str, ...] = ()  # N SHA-256, "" where none is recorded; or none
    upright: bool = False  # whether EXIF orientation is applied when they are decoded
    hint: str = "replace or remove these files, then prepare the data set again"  # if one is broken
    names: Names = field(default_factory=Names)
    tracks: NDArray[np.int64] | None = None  # [N], numbered by camera; None if there are none
    times: NDArray[np.float64] | None = None  # [N], frames or seconds by the camera's clock

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: NDArray[np.int64]) -> "ImageSet":
        """Return some of the images, by position, int64 [M]."""
        paths = tuple(self.paths[row] for row in rows)
        contents = tuple(self.contents[row] for row in rows) if self.contents else ()
        columns = (
            (name, getattr(self, name)) for name in ("identities", "cameras", "tracks", "times")
        )
        taken = {name: column[rows] for name, column in columns if column is not None}
        return replace(self, paths=paths, contents=contents, **taken)

    @property
    def files(self) -> list[Path]:
        """The N image files."""
        return [self.root / path for path in self.paths]

    @property
    def has_identities(self) -> bool:
        """Whether every image has an identity."""
        return UNKNOWN not in self.identities and len(self) > 0

    @property
    def has_cameras(self) -> bool:
        """Whether every image has a camera."""
        return UNKNOWN not in self.cameras and len(self) > 0
