"""The pseudo-identities that a run gave to the training images, read back from its folder."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import ImageSet, Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.runs.folder import CONFIG, ENVIRONMENT, LABELS

ANOTHER = "the run saw another data set of that name: `--data-dir` says where that lies"


class Row(NamedTuple):
    """What is known of a training image.

    Attributes:
        path: below the data set's root, with `/`.
        pseudo_identity: the number of its cluster; -1 = outlier, in no cluster.
        agreement: cross agreement, the mean over the parts, 0 to 1.
        camera: the user's name of its camera; None where it is unknown.
    """

    path: str
    pseudo_identity: int
    agreement: float
    camera: str | None


@dataclass(frozen=True, eq=False)
class EpochLabels:
    """The pseudo-labels of one epoch.

    Attributes:
        file: where they were read from.
        epoch: its number.
        pseudo: labels and agreement of N images.
    """

    file: Path
    epoch: int
    pseudo: PseudoLabels

    def rows(self, images: ImageSet) -> Iterator[Row]:
        """Yield a row for each training image.

        Raises:
            DataError: there are labels of another number of images.
        """
        labels, agreement = self.pseudo.labels, self.pseudo.agreement.mean(1)
        if len(labels) != len(images):
            raise DataError(
                f"`{self.file}`: labels of {len(labels):,} images, but the data set in "
                f"`{images.root}` has {len(images):,} training images",
                ANOTHER,
            )
        for path, label, score, camera in zip(
            images.paths, labels, agreement, images.cameras, strict=True
        ):
            name = images.names.camera(camera) or None
            yield Row(path, int(label), round(float(score), 4), name)


def run_data_dir(run: Path) -> Path | None:
    """Return the data folder that a run used, where it is known and still there."""
    folder = Path(_environment(run).get("data_dir") or "")
    return folder if folder.is_absolute() and folder.is_dir() else None


def check_data(run: Path, manifest: Manifest) -> None:
    """Refuse a data set other than the one that the run saw: its labels go by the images' order.

    Raises:
        DataError: the digest of the data set is another one.
    """
    seen = _environment(run).get("data_digest")
    if seen not in {None, manifest.digest}:
        raise DataError(
            f"`{run}`: the data set `{manifest.name}` in `{manifest.root}` is not that of the run",
            ANOTHER,
        )


def _environment(run: Path) -> dict[str, str]:
    """Return what the run recorded of its origin, nothing where it cannot be read."""
    try:
        found = json.loads((run / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def run_settings(run: Path) -> Config:
    """Return the settings of a run.

    Raises:
        UsageError: the folder holds no run, or its settings cannot be read.
    """
    if not (run / CONFIG).is_file():
        raise UsageError(
            f"`{run}`: no run folder (`{CONFIG}` is missing)",
            "give the folder that `pplr train` made, such as `runs/market-train`",
        )
    return presets.resolve(str(run / CONFIG), "train")


def epoch_labels(run: Path, epoch: int | None, parts: int) -> EpochLabels:
    """Read the labels of an epoch, by default of the last one.

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
        raise UsageError(f"`{run / LABELS}`: holds no labels", "the first epoch has not ended yet")
    number = max(files) if epoch is None else epoch
    if number not in files:
        there = f"{min(files)} to {max(files)}" if len(files) > 1 else str(min(files))
        raise UsageError(f"`{run}`: no labels of epoch {number}", f"there are those of {there}")
    return EpochLabels(files[number], number, _read(files[number], parts))


def _read(file: Path, parts: int) -> PseudoLabels:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as saved:
            labels: NDArray[np.int64] = saved["labels"]
            agreement: NDArray[np.float32] = saved["agreement"]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"`{file}`: no labels file, or cut short ({error})", _OTHER) from error
    if labels.ndim != 1 or agreement.shape != (len(labels), parts):
        shapes = f"labels {list(labels.shape)}, agreement {list(agreement.shape)}"
        raise DataError(f"`{file}`: {shapes} do not fit the run's {parts} parts", _OTHER)
    if labels.dtype.kind != "i" or labels.min(initial=OUTLIER) < OUTLIER:
        raise DataError(f"`{file}`: holds labels below {OUTLIER}, or no whole numbers", _OTHER)
    return PseudoLabels(labels, agreement)


_OTHER = "another epoch's labels may be whole: `--epoch N`"


def as_csv(rows: list[Row]) -> str:
    """Return a heading and a line for each row; an unknown camera is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    return text.getvalue()
