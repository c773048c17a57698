"""Feature files: path, camera, track and vector of each image, as .npz, .npy + .csv or .parquet."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import UsageError, missing_package
from pplr_cli.files import check_output, open_output
from pplr_cli.text import csv_text, printable

COLUMNS = ("path", "camera", "track")
Vectors = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FeatureTable:
    """N images and their features."""

    images: ImageSet  # N images
    blocks: Iterator[Vectors]  # consecutive features [B, D], N in all
    shape: tuple[int, int]  # (N, D)
    dtype: np.dtype[Any]  # float32 or float16
    weights: str  # SHA-256 of the weights file: vectors of two networks cannot be compared

    def columns(self) -> list[tuple[str, ...]]:
        """Return path, name of the camera and name of the track; "" where unknown."""
        images, names = self.images, self.images.names
        tracks = images.tracks
        return [
            images.paths,
            tuple(names.camera(number) for number in images.cameras),
            ("",) * len(images) if tracks is None else tuple(map(names.track, tracks)),
        ]


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a file that `write_table` cannot or must not write; create nothing.

    Raises:
        UsageError: an unknown suffix, or a file that exists already.
        PplrError: pyarrow is missing, or the place is not writable.
    """
    if target.suffix not in WRITERS:
        known = ", ".join(WRITERS)
        raise UsageError(f"`{target}`: unknown kind of file", f"the name ends in one of {known}")
    if target.suffix == ".parquet":
        _pyarrow()
    for file in files(target):
        check_output(file, overwrite=overwrite)


def files(target: Path) -> list[Path]:
    """Return the files that belong to a target, itself last."""
    return [target.with_suffix(".csv"), target] if target.suffix == ".npy" else [target]


def write_table(target: Path, table: FeatureTable, *, overwrite: bool) -> None:
    """Write the file or files of `target` atomically, one block of features at a time."""
    if target.suffix == ".npy":
        rows = zip(*table.columns(), strict=True)
        with open_output(target.with_suffix(".csv"), overwrite=overwrite) as file:
            file.write(csv_text(COLUMNS, rows).encode(errors="surrogateescape"))
    with open_output(target, overwrite=overwrite) as file:
        WRITERS[target.suffix](file, table)


def _write_npy(file: IO[bytes], table: FeatureTable) -> None:
    descr = np.lib.format.dtype_to_descr(table.dtype)
    head = {"descr": descr, "fortran_order": False, "shape": table.shape}
    np.lib.format.write_array_header_2_0(file, head)
    for block in table.blocks:
        file.write(np.ascontiguousarray(block, table.dtype).data)


def _write_npz(file: IO[bytes], table: FeatureTable) -> None:
    columns = zip(COLUMNS, table.columns(), strict=True)
    texts: list[tuple[str, Any]] = [*columns, ("weights", table.weights)]
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in texts:
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.array(values, np.str_), allow_pickle=False)
        with archive.open(zipfile.ZipInfo("vector.npy"), "w", force_zip64=True) as entry:
            _write_npy(entry, table)


def _write_parquet(file: IO[bytes], table: FeatureTable) -> None:
    """Write a row group for each block; the vectors are lists of D numbers."""
    arrow = _pyarrow()
    parquet = import_module("pyarrow.parquet")
    value = arrow.from_numpy_dtype(table.dtype)
    fields = [arrow.field(name, arrow.string()) for name in COLUMNS]
    fields.append(arrow.field("vector", arrow.list_(value, table.shape[1])))
    schema = arrow.schema(fields, metadata={"weights": table.weights})
    columns = [[printable(text) or None for text in column] for column in table.columns()]
    start = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for block in table.blocks:
            rows = slice(start, start := start + len(block))
            flat = arrow.array(block.astype(table.dtype, copy=False).ravel())
            vectors = arrow.FixedSizeListArray.from_arrays(flat, table.shape[1])
            texts = [arrow.array(column[rows], arrow.string()) for column in columns]
            writer.write_table(arrow.Table.from_arrays([*texts, vectors], schema=schema))


def _pyarrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError as error:
        reason = f"`import pyarrow` fails: {error}"
        raise missing_package(".parquet", "pyarrow", "parquet", reason) from error


WRITERS: dict[str, Callable[[IO[bytes], FeatureTable], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".parquet": _write_parquet,
}
"""By the suffix of the file."""
