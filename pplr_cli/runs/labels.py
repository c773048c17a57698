"""The pseudo-labels of each epoch: `labels/epoch-NNN.npz` of a run folder."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError, UsageError
from pplr_cli.files import atomic_write
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.retrieval.assign import Assigned
from pplr_cli.runs.identities import follow, read_known

LABELS = "labels"
_OTHER = "another epoch's labels may be intact: `--epoch N`"


class Row(NamedTuple):
    """The pseudo-label of a training image."""

    path: str  # relative to the data set's root, with `/`
    pseudo_identity: int  # its identity, a number that is the same in all epochs; -1 = outlier
    agreement: float  # cross agreement, mean over the parts, 0 to 1
    camera: str | None  # the user's name of its camera; None if unknown


class AssignedRow(NamedTuple):
    """The identity of an image, known or new."""

    path: str  # relative to the folder of the images, with `/`
    pseudo_identity: int | str  # number or name of its identity
    known: int  # 1 if that is a known identity, 0 if it is new
    distance: float  # to the nearest known image or track; 0 if it is known itself
    camera: str | None  # the user's name of its camera; None if unknown


@dataclass(frozen=True, eq=False)
class EpochLabels:
    """The pseudo-labels of one epoch."""

    file: Path  # the file they were read from
    epoch: int  # its number
    pseudo: PseudoLabels  # labels and agreement of N images
    # labels of the epochs before, as far as they can be read
    earlier: tuple[NDArray[np.int64], ...] = ()

    def rows(self, images: ImageSet, known: Path | None = None) -> Iterator[Row]:
        """Return a row for each training image.

        Args:
            images: the training images.
            known: table of another run whose numbers are continued, instead of those of the
                epochs before.

        Raises:
            DataError: the number of images differs, or the table cannot be read.
        """
        labels, agreement = self.pseudo.labels, self.pseudo.agreement.mean(1)
        if len(labels) != len(images):
            raise DataError(
                f"`{self.file}`: labels of {len(labels):,} images, but the data set in "
                f"`{images.root}` has {len(images):,} training images",
                "name the data folder of the run with --data-dir",
            )
        if known is None:
            identities = follow([*self.earlier, labels])
        else:
            identities = read_known(known, images.paths).match(labels)
        return label_rows(images, identities, agreement)


def label_rows(
    images: ImageSet, identities: NDArray[np.int64], agreement: NDArray[np.floating[Any]]
) -> Iterator[Row]:
    """Yield a row for each of N images with these identities and agreement scores [N]."""
    for path, identity, score, camera in zip(
        images.paths, identities, agreement, images.cameras, strict=True
    ):
        name = images.names.camera(camera) or None
        yield Row(path, int(identity), round(float(score), 4), name)


def assigned_rows(found: Assigned) -> Iterator[AssignedRow]:
    """Yield a row for each image."""
    images = found.images
    columns = found.names, found.known, found.distances, images.cameras
    for path, name, known, distance, camera in zip(images.paths, *columns, strict=True):
        identity = int(name) if name.isdecimal() else name
        place = images.names.camera(camera) or None
        yield AssignedRow(path, identity, int(known), round(float(distance), 4), place)


def save_labels(run: Path, epoch: int, pseudo: PseudoLabels) -> None:
    """Write the arrays of an epoch."""
    with atomic_write(_file(run, epoch)) as file:
        np.savez_compressed(file, **pseudo.arrays())  # type: ignore[arg-type]


def read_labels(run: Path, epoch: int, images: int, *names: str) -> dict[str, NDArray[Any]]:
    """Return an epoch's arrays: all, or those named, `labels` among them.

    Returns:
        none if the file is missing, damaged, or not about this number of images.
    """
    try:
        arrays = _read(_file(run, epoch), *names)
        return arrays if len(arrays["labels"]) == images and _are_labels(arrays["labels"]) else {}
    except Exception:  # a damaged file may raise anything
        return {}


def _are_labels(values: NDArray[Any]) -> bool:
    """Return whether an array has one cluster, or `OUTLIER`, for each image."""
    if values.dtype.kind != "i" or values.ndim != 1:
        return False
    return bool(((values >= OUTLIER) & (values < len(values))).all())


def epoch_labels(run: Path, epoch: int | None, parts: int) -> EpochLabels:
    """Read the labels of an epoch, by default of the last.

    Args:
        run: the run folder.
        epoch: its number, or None.
        parts: P, of the run's network.

    Raises:
        UsageError: there are no labels, or none of that epoch.
        DataError: the file is damaged.
    """
    files = {
        int(match[1]): path
        for path in (run / LABELS).glob("epoch-*.npz")
        if (match := re.fullmatch(r"epoch-(\d+)\.npz", path.name))
    }
    if not files:
        raise UsageError(f"`{run / LABELS}`: no labels", "the first epoch is not finished yet")
    number = max(files) if epoch is None else epoch
    if number not in files:
        known = f"{min(files)} to {max(files)}" if len(files) > 1 else str(min(files))
        raise UsageError(f"`{run}`: no labels of epoch {number}", f"there are labels of {known}")
    pseudo = _checked(files[number], parts)
    before, images = [each for each in sorted(files) if each < number], len(pseudo.labels)
    arrays = [read_labels(run, each, images, "labels") for each in before]
    earlier = tuple(each["labels"] for each in arrays if each)
    return EpochLabels(files[number], number, pseudo, earlier)


def _checked(file: Path, parts: int) -> PseudoLabels:
    try:
        arrays = _read(file)
        labels, agreement = arrays["labels"], arrays["agreement"]
    except Exception as error:  # without its text: NumPy's suggests to trust the file
        raise DataError(f"`{file}`: not a labels file, or damaged", _OTHER) from error
    fits = agreement.dtype.kind == "f" and agreement.shape == (len(labels), parts)
    if not (fits and _are_labels(labels)):
        raise DataError(
            f"`{file}`: labels {labels.dtype} {list(labels.shape)} and agreement "
            f"{agreement.dtype} {list(agreement.shape)} are not those of a run with {parts} parts",
            _OTHER,
        )
    return PseudoLabels(labels, agreement)


def _read(file: Path, *names: str) -> dict[str, NDArray[Any]]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names or arrays.files if name in arrays}


def _file(run: Path, epoch: int) -> Path:
    return run / LABELS / f"epoch-{epoch:03d}.npz"
