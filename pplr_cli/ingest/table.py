"""Reads labels of own crops from a CSV file: `path,camera[,identity][,split][,track][,frame]`.

The first line names the columns, in any order; `path` and one more are required, and columns of
other names are not read. Paths are relative to the folder of images. The separator is a comma,
semicolon or tab. An empty cell means "unknown", an empty split `train`. The text is UTF-8, or
UTF-16 with a byte order mark (Excel's "Unicode text").
"""

import codecs
import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pplr_cli.errors import DataError
from pplr_cli.files import native
from pplr_cli.text import listed, named, nearest

if TYPE_CHECKING:
    import _csv

Values = dict[str, str | None]
"""The cells or groups of an image by name, one of `COLUMNS`; None = empty."""

COLUMNS = ("path", "camera", "identity", "split", "track", "frame", "time")
SEPARATORS = ",;\t"
EXAMPLE = (
    "the first line names the columns: `path,camera`, optionally `identity`, `split`, `track` and "
    "`frame` or `time`"
)


def read_table(
    table: Path, root: Path, paths: list[str], notes: Counter[str] | None = None
) -> dict[str, Values]:
    """Return the cells of each image, by image path.

    Args:
        table: the CSV file.
        root: the folder of the images.
        paths: the images below `root`.
        notes: gets the columns that are not read.

    Raises:
        DataError: no text file; missing or misspelt columns; lines of the wrong length, paths
            without image or named twice, all listed together.
    """
    if not table.is_file():
        what = "not a file" if table.exists() else "no such file"
        raise DataError(f"`{table}`: {what}", "give the CSV file of the labels")
    text = _text(table)
    separator = next((each for each in SEPARATORS if each in text.partition("\n")[0]), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: dict[str, Values] = {}
    try:
        columns = _columns(table, next(reader, []))
        problems = list(_read_rows(reader, columns, set(paths), rows))
        others = [column for column in columns if column not in COLUMNS]
        if others and notes is not None:
            notes[f"columns not read, {named(others)}"] = len(others)
    except csv.Error as error:
        raise DataError(f"`{table}`: line {reader.line_num}: {error}", EXAMPLE) from error
    if problems:
        message = f"`{table}`: {len(problems)} lines do not fit the images of `{root}`"
        hint = "the table names each image once, by its path below that folder"
        raise DataError(f"{message}:\n{listed(problems)}", hint)
    if not rows:
        raise DataError(f"`{table}`: names no image", EXAMPLE)
    return rows


def _text(table: Path) -> str:
    """Return the text of a table in any of its encodings."""
    content = table.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    if b"\0" in content:
        what = "an Excel workbook" if content.startswith(b"PK") else "neither UTF-8 nor UTF-16"
        raise DataError(f"`{table}`: {what}, not a text table", "save it as `CSV UTF-8`")
    return content.decode("utf-8-sig", "surrogateescape")


def _columns(table: Path, cells: list[str]) -> list[str]:
    """Return the column names of the first line."""
    columns = [cell.strip().lower() for cell in cells]
    known, free = set(columns) & set(COLUMNS), [each for each in COLUMNS if each not in columns]
    for column in columns:
        if column not in known and difflib.get_close_matches(column, free, cutoff=0.8):
            raise DataError(f"`{table}`: unknown column `{column}`", nearest(column, free))
    if "path" not in known or len(known) < 2 or len(set(columns)) < len(columns):
        raise DataError(f"`{table}`: columns {named(columns) or 'missing'}", EXAMPLE)
    return columns


def _read_rows(
    reader: "_csv.Reader", columns: list[str], there: set[str], rows: dict[str, Values]
) -> Iterator[str]:
    """Fill `rows`; yield the problems, by line."""
    for cells in reader:
        place = f"line {reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            yield f"{place}: {len(cells)} cells, not {len(columns)}"
            continue
        values = dict(zip(columns, cells, strict=True))
        path = _find(name := values.pop("path"), there)
        if path is None:
            yield f"{place}: no image `{name}`"
        elif path in rows:
            yield f"{place}: `{path}` a second time"
        else:
            rows[path] = {n: cell.strip() or None for n, cell in values.items() if n in COLUMNS}


def _find(cell: str, there: set[str]) -> str | None:
    """Return the image that a cell names; blanks, `./` and backslashes are accepted."""
    plain = str(PurePosixPath(cell.strip().replace("\\", "/")))
    return next((path for path in map(native, (cell, plain)) if path in there), None)
