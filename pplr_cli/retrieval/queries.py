"""Queries of several images: the images of a folder or of a track as one."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.data.images import ImageSet
from pplr_cli.data.tracks import Tracks
from pplr_cli.errors import UsageError

AsOne = Literal["folder", "track"]
Ints = NDArray[np.int64]


class Groups(NamedTuple):
    """N images in Q groups, numbered in the order of their first images."""

    of: Ints  # group of each image, int64 [N]
    first: Ints  # position of each group's first image, int64 [Q]

    def mean(self, features: Tensor) -> Tensor:
        """Return the L2-normalised mean of each group's features, [Q, D] of [N, D]."""
        if len(self.of) == len(self.first):
            return features
        at = torch.from_numpy(self.of).to(features.device)
        sums = features.new_zeros((len(self.first), features.shape[1]))
        return F.normalize(sums.index_add_(0, at, features))


def group_images(images: ImageSet, as_one: AsOne | None, apart: Ints | None = None) -> Groups:
    """Group images by folder or track; by default each is a group of its own.

    Args:
        images: N images.
        as_one: what the images of a group share.
        apart: values of the images that keep them apart if they differ, int64 [N].

    Raises:
        UsageError: by track, but the images have none.
    """
    count = len(images)
    if as_one is None:
        return Groups(np.arange(count), np.arange(count))
    if as_one == "folder":
        parents = [path.rpartition("/")[0] for path in images.paths]
        keys = np.unique(parents, return_inverse=True)[1]
    elif tracks := Tracks.from_images(images):
        keys = tracks.of
    else:
        hint = "prepare the data set with tracks: `track` in `--pattern` or `--csv`"
        raise UsageError(f"`{images.root}`: the images have no tracks", hint)
    both = np.stack((keys, np.zeros(count, np.int64) if apart is None else apart))
    _, first, of = np.unique(both, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return Groups(np.argsort(order)[of.ravel()], first[order])


def query_names(images: ImageSet, groups: Groups, as_one: AsOne | None) -> list[Path]:
    """Return each query's name: its folder, or its (first) image."""
    files = images.files
    found = [files[row] for row in groups.first]
    return [file.parent for file in found] if as_one == "folder" else found
