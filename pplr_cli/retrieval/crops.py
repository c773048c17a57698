"""The features of crops: a folder, one image, or a prepared data set."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.decode import Fault, decode, unusable
from pplr_cli.data.images import ImageSet
from pplr_cli.engine.stream import Broken, extract_stream
from pplr_cli.progress import Reporter
from pplr_cli.retrieval.model import Model


class Crops(NamedTuple):
    """N images and their L2-normalised features."""

    images: ImageSet  # the images
    features: Tensor  # float32 [1 + P, N, D], global ones first; or [1, N, D]


def extract_crops(
    model: Model,
    images: ImageSet,
    *,
    parts: bool = False,
    mirrored: bool = False,
    skip_bad: bool = False,
) -> Crops:
    """Compute the features of images, decoded on threads ahead of the network.

    Args:
        model: the network.
        images: the images.
        parts: compute part features too.
        mirrored: average the features of each image and its mirror image.
        skip_bad: leave out images that cannot be decoded; their number is reported.

    Raises:
        DataError: images cannot be decoded (all are listed): any, or with `skip_bad` all.
    """
    network, files = model.network, images.files
    shape = (1 + network.parts if parts else 1, len(images), network.feature_size)
    features, start = torch.empty(shape, device=model.device), 0

    def keep(batch: Tensor) -> None:
        nonlocal start
        features[:, start : start + batch.shape[1]] = batch
        start += batch.shape[1]

    broken = extract_stream(
        network,
        len(images),
        lambda row: decode(files[row], upright=images.upright),
        model.config,
        model.runtime,
        keep,
        parts=parts,
        mirrored=mirrored,
    )
    if not broken:
        return Crops(images, features)
    kept = without_broken(images, broken, model.runtime.reporter, skip_bad=skip_bad)
    return Crops(images.take(kept), features[:, torch.from_numpy(kept).to(features.device)])


def without_broken(
    images: ImageSet, broken: Broken, reporter: Reporter, *, skip_bad: bool
) -> NDArray[np.int64]:
    """Return the positions of the images that could be decoded, and warn about the others.

    Raises:
        DataError: there are broken images (all are listed): any, or with `skip_bad` no others.
    """
    error = unusable(images, [Fault(images.paths[row], why.message) for row, why in broken])
    if not skip_bad or len(broken) == len(images):
        raise error
    reporter.warn(error.message.replace("cannot be used:", "cannot be used and are left out:"))
    return np.delete(np.arange(len(images)), [row for row, _ in broken])
