"""Give crops the identities of known crops, or new ones.

Images of a track count as one, by the mean of their features. Nearest first, each gets the
identity of its nearest known crop within the threshold, unless that identity is in two tracks of
one camera at the same time. The others are grouped by average linkage with the same threshold;
each group is a new identity.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.images import UNKNOWN, ImageSet
from pplr_cli.data.tracks import Tracks
from pplr_cli.ingest.folder import same_files
from pplr_cli.ingest.known import Known
from pplr_cli.labelling.tracks import link_tracks, track_means
from pplr_cli.retrieval.crops import Crops, extract_crops
from pplr_cli.retrieval.distance import row_blocks, squared_distances
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.threshold import Threshold, choose_threshold, rate, run_trials

Ints = NDArray[np.int64]


class Assigned(NamedTuple):
    """The identities of N images.

    Attributes:
        images: the images.
        names: of their identities; a new one is the next number that is not in use.
        known: whether the identity is a known one, bool [N].
        distances: to the nearest known crop or track, float32 [N]; 0 if known itself.
        threshold: the distance that was used.
    """

    images: ImageSet
    names: tuple[str, ...]
    known: NDArray[np.bool_]
    distances: NDArray[np.float32]
    threshold: Threshold


class Units(NamedTuple):
    """Images without track, and tracks: U units of N images."""

    # each unit as a track; single images have no camera there, so that nothing keeps two of them
    # apart
    tracks: Tracks
    vectors: Tensor  # float32 [U, D], L2-normalised
    first: Ints  # int64 [U], the position of an image of each unit
    tracked: NDArray[np.bool_]  # bool [U], whether it is a track


def assign_images(
    model: Model,
    known: Known,
    images: ImageSet,
    *,
    max_distance: float | None = None,
    skip_bad: bool = False,
) -> Assigned:
    """Give images the identities of known ones, or new ones.

    Args:
        model: the network.
        known: images with identities.
        images: images without; those that are known files keep their identity.
        max_distance: the threshold; by default chosen from the known images (`threshold.py`).
        skip_bad: leave out images that cannot be decoded.

    Raises:
        UsageError: no threshold can be chosen.
        DataError: images cannot be decoded (all are listed): any, or with `skip_bad` all.
    """
    labels = dict(zip(same_files(known.images), known.names, strict=True))
    is_new = np.array([file not in labels for file in same_files(images)])
    crops = extract_crops(model, known.images, skip_bad=skip_bad)
    names, owners = np.unique([labels[f] for f in same_files(crops.images)], return_inverse=True)
    units, budget = make_units(crops, owners), model.distance_budget
    owners = owners[units.first]
    # frames of one camera can be nearly equal, tracks of one camera are different visits
    cameras = np.where(units.tracked, UNKNOWN, crops.images.cameras[units.first])
    trials = run_trials(units.vectors, owners, cameras, budget)
    limit = choose_threshold(trials) if max_distance is None else rate(trials, max_distance)
    rows = {file: (name, True, 0.0) for file, name in labels.items()}
    if is_new.any():
        new = extract_crops(model, images.take(np.flatnonzero(is_new)), skip_bad=skip_bad)
        parts = make_units(new), units.vectors, owners, len(names), limit.distance, budget
        everyone = [*map(str, names), *_new_names(labels.values(), len(new.images))]
        files = same_files(new.images)
        for file, person, distance in zip(files, *assign_units(*parts), strict=True):
            rows[file] = everyone[person], bool(person < len(names)), float(distance)
    files = same_files(images)
    kept = images.take(np.array([n for n, file in enumerate(files) if file in rows]))
    found, flags, near = zip(*(rows[file] for file in files if file in rows), strict=True)
    return Assigned(kept, found, np.array(flags), np.array(near, np.float32), limit)


def _new_names(used: Iterable[str], count: int) -> list[str]:
    """Return the next `count` numbers that no name uses."""
    start = 1 + max((int(name) for name in used if name.isdecimal()), default=-1)
    return [str(start + number) for number in range(count)]


def make_units(crops: Crops, identities: Ints | None = None) -> Units:
    """Return the tracks and single images of crops; images of several identities are several."""
    images, nowhere = crops.images, np.full(len(crops.images), UNKNOWN)
    times = np.full(len(images), float(UNKNOWN)) if images.times is None else images.times
    tracks = nowhere if images.tracks is None else images.tracks
    cameras = np.where(tracks == UNKNOWN, UNKNOWN, images.cameras)
    found = Tracks.from_arrays(tracks, cameras, times)
    keys = np.stack((found.of, nowhere if identities is None else identities), 1)
    keys, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    at = keys[:, 0]
    units = Tracks(of.ravel(), found.cameras[at], found.first[at], found.last[at])
    return Units(units, track_means(crops.features[0], units), first, tracks[first] != UNKNOWN)


def assign_units(
    units: Units, known: Tensor, owners: Ints, people: int, threshold: float, budget: int
) -> tuple[Ints, NDArray[np.float32]]:
    """Return the identity of each image and the distance of its unit to the nearest known one.

    Args:
        units: U tracks or images.
        known: float32 [K, D], L2-normalised.
        owners: identity of each of them, int64 [K], 0 to `people` - 1.
        people: number of known identities; new ones are `people`, `people` + 1, ...
        threshold: largest distance.
        budget: bytes that a block of distances may take.
    """
    units_near, pairs = _near(units.vectors, known, owners, people, threshold, budget)
    identities, overlaps = np.full(len(units.tracks), UNKNOWN), units.tracks.overlaps()
    for unit, person in pairs:
        at_once = overlaps.indices[overlaps.indptr[unit] : overlaps.indptr[unit + 1]]
        if identities[unit] == UNKNOWN and person not in identities[at_once]:
            identities[unit] = person
    rest = np.flatnonzero(identities == UNKNOWN)
    if len(rest):
        tracks, at = units.tracks, torch.from_numpy(rest).to(known.device)
        left = Tracks(
            np.arange(len(rest)), tracks.cameras[rest], tracks.first[rest], tracks.last[rest]
        )
        closest = 1 - threshold**2 / 2  # the cosine at the threshold
        identities[rest] = people + link_tracks(units.vectors[at], left, closest)
    return identities[units.tracks.of], units_near[units.tracks.of]


def _near(
    vectors: Tensor, known: Tensor, owners: Ints, people: int, threshold: float, budget: int
) -> tuple[NDArray[np.float32], Ints]:
    """Return each unit's smallest distance, and the pairs within the threshold, nearest first."""
    owner, smallest, found = torch.from_numpy(owners).to(known.device), [], []
    for rows in row_blocks(len(vectors), len(known) + people, budget // 4):
        distances = squared_distances(vectors[rows], known).clamp_(min=0).sqrt_()
        nearest = distances.new_full((len(distances), people), torch.inf)
        nearest.scatter_reduce_(1, owner.expand_as(distances), distances, "amin")
        smallest.append(nearest.amin(1))
        unit, person = (nearest <= threshold).nonzero(as_tuple=True)
        found.append(torch.stack((nearest[unit, person].double(), unit + rows.start, person), 1))
    values = torch.cat(found).cpu().numpy()
    order = np.argsort(values[:, 0], kind="stable")
    return torch.cat(smallest).cpu().numpy(), values[order, 1:].astype(np.int64)
