"""The tracks of a split: which images a tracker followed as one, where and when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pplr_cli.data.images import UNKNOWN, ImageSet

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tracks:
    """N images in T tracks; an image without track is a track of its own."""

    of: Ints  # track of each image, [N], 0 to T - 1
    cameras: Ints  # [T]
    first: Floats  # [T], time of its first image by the clock of its camera; NaN if unknown
    last: Floats  # [T], time of its last image, likewise

    def __len__(self) -> int:
        return len(self.cameras)

    @classmethod
    def from_images(cls, images: ImageSet) -> "Tracks | None":
        """Return the tracks of a split; None if no image has one."""
        if images.tracks is None or images.times is None:
            return None
        return cls.from_arrays(images.tracks, images.cameras, images.times)

    @classmethod
    def from_arrays(cls, tracks: Ints, cameras: Ints, times: Floats) -> "Tracks":
        """Return the tracks of images with these values [N], each `UNKNOWN` where there is none.

        Equal numbers in two cameras are two tracks.
        """
        alone = np.where(tracks == UNKNOWN, np.arange(len(tracks)), UNKNOWN)
        unique, of = np.unique(np.stack((cameras, tracks, alone), 1), axis=0, return_inverse=True)
        known = np.where(times == UNKNOWN, np.nan, times)
        first, last = np.full(len(unique), np.nan), np.full(len(unique), np.nan)
        np.fmin.at(first, of, known)
        np.fmax.at(last, of, known)
        return cls(of, unique[:, 0], first, last)

    @property
    def timed(self) -> NDArray[np.bool_]:
        """Whether the times of each track are known, bool [T]."""
        return np.isfinite(self.first)

    def overlaps(self) -> csr_array:
        """Return the pairs of tracks that one camera sees at the same time, symmetric [T, T]."""
        rows, columns = [], []
        for camera in np.unique(self.cameras[self.cameras != UNKNOWN]):
            found = np.flatnonzero((self.cameras == camera) & self.timed)
            found = found[np.argsort(self.first[found], kind="stable")]
            ends = np.searchsorted(self.first[found], self.last[found], side="right")
            # track i overlaps the later ones that begin before it ends: i + 1 to ends[i] - 1
            counts = ends - np.arange(len(found)) - 1
            starts = np.arange(len(found)).repeat(counts)
            offsets = np.arange(counts.sum()) - (counts.cumsum() - counts).repeat(counts)
            rows.append(found[starts])
            columns.append(found[starts + 1 + offsets])
        pairs = [np.concatenate([*part, np.empty(0, np.int64)]) for part in (rows, columns)]
        one, other = (np.concatenate(part) for part in (pairs, pairs[::-1]))
        ones = np.ones(len(one), np.float32)
        return csr_array((ones, (one, other)), shape=(len(self), len(self)))
