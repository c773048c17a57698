"""Read images whose identities are known: a table of labels, or a folder for each identity."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError
from pplr_cli.ingest.folder import OR_SKIP, open_folder
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

NONE = ("", "-1")
"""What a table has for an image without identity."""
UNLABELED = "_unlabeled"
"""The folder of images without identity: FiftyOne reads them as unlabelled."""
HINT = "name a table of `pplr labels`, `cluster` or `assign`, or a folder with one per identity"


COLUMNS = ("pseudo_identity", "identity")
T = TypeVar("T")


class Known(NamedTuple):
    """N images and the names of their identities."""

    images: ImageSet
    names: tuple[str, ...]


def read_known(source: Path, images: ImageSet, reporter: Reporter) -> Known:
    """Return the images with known identities: of a folder, or of a table that names `images`.

    Raises:
        DataError: neither of the two.
    """
    if source.is_dir():
        return read_folders(source, reporter)
    return read_table(source, images, reporter)


def read_folders(folder: Path, reporter: Reporter) -> Known:
    """Return the images below a folder; the first folder of each path names its identity.

    Raises:
        DataError: no such folder, no image, or an image in no folder of an identity.
    """
    images = open_folder(folder, reporter, OR_SKIP)
    if loose := [path for path in images.paths if "/" not in path]:
        message = f"`{folder}`: {len(loose)} images are in no folder of an identity"
        raise DataError(f"{message}:\n{listed(loose)}", HINT)
    found = [path.partition("/")[0] for path in images.paths]
    return _labelled(images, dict(zip(images.paths, found, strict=True)), folder)


def read_table(table: Path, images: ImageSet, reporter: Reporter) -> Known:
    """Return the images that a table names, with their identities.

    Args:
        table: CSV with the columns `path` and `pseudo_identity` (or `identity`).
        images: where the paths are looked up.
        reporter: gets a warning about paths that are not there.

    Raises:
        DataError: no such table, without these columns, or it names none of the images.
    """
    names = read_labels_table(table, str, HINT)
    lost = sorted(set(names) - set(images.paths))
    where = f"`{table}`: {len(lost)} of its {len(names)} images are not in `{images.root}`"
    hint = "name their folder or data set with --known-images"
    if lost and len(lost) == len(names):
        raise DataError(f"{where}:\n{listed(lost, 3)}", hint)
    if lost:
        reporter.warn(f"{where}:\n{listed(lost)}", hint)
    return _labelled(images, names, table)


def read_labels_table(table: Path, kind: Callable[[str], T], hint: str) -> dict[str, T]:
    """Return the `pseudo_identity` (or `identity`) that a table has for each `path`, as a `kind`.

    Raises:
        DataError: no such table, without these columns, or with values of another kind.
    """
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.DictReader(file)
            column = next((c for c in COLUMNS if c in (rows.fieldnames or ())), COLUMNS[0])
            return {row["path"]: kind(row[column] or "") for row in rows}
    except OSError as error:
        raise DataError(f"`{table}`: {error.strerror}", hint) from error
    except KeyError as error:
        raise DataError(f"`{table}`: no column `{error.args[0]}`", hint) from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"`{table}`: not a table of labels ({error!r})", hint) from error


def _labelled(images: ImageSet, names: dict[str, str], source: Path) -> Known:
    """Return the images with an identity; numbers are written without leading zeros."""
    found = [names.get(path, "") for path in images.paths]
    rows = [row for row, name in enumerate(found) if name not in (*NONE, UNLABELED)]
    if not rows:
        raise DataError(f"`{source}`: no image with an identity", HINT)
    plain = (found[row] for row in rows)
    clean = tuple(str(int(name)) if name.isdecimal() else name for name in plain)
    return Known(images.take(np.array(rows)), clean)
