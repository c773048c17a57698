"""Choose query or gallery images where a public data set has no list of them.

MARS names its query tracks by row: `tracks_test_info.mat` has first and last line in
`test_name.txt`, identity and camera of each track; `query_IDX.mat` has the rows of the queries.
Lines and rows count from 1. VehicleID draws one image of each test identity as the gallery.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from pplr_cli.errors import DataError
from pplr_cli.ingest.description import NameRule

HINT = "fetch the folder `info` again: https://github.com/liangzheng06/MARS-evaluation"


def query_names(names: Path, tracks: Path, queries: Path) -> set[str]:
    """Return the file names of the images in MARS's query tracks.

    Raises:
        DataError: a file that cannot be read, or does not fit the others.
    """
    lines = names.read_text(encoding="utf-8-sig", errors="replace").split()
    rows = _matrix(tracks, "track_test_info", 4)
    chosen = _matrix(queries, "query_IDX", 1)[:, 0]
    if not len(chosen) or chosen.min() < 1 or chosen.max() > len(rows):
        raise DataError(f"`{queries}`: names no rows of `{tracks}`", HINT)
    found: set[str] = set()
    for first, last, *_ in rows[chosen - 1].tolist():
        if not 1 <= first <= last <= len(lines):
            raise DataError(f"`{tracks}`: names no lines of `{names}`", HINT)
        found.update(lines[first - 1 : last])
    return found


def _matrix(file: Path, name: str, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    try:
        found = np.asarray(loadmat(file)[name])
        return found.astype(np.int64).reshape(-1, columns)
    except Exception as error:  # scipy raises many kinds on damaged files
        raise DataError(f"`{file}`: no matrix `{name}` ({error!r})", HINT) from error


def one_of_each(lines: Mapping[str, str], rule: NameRule) -> set[str]:
    """Return the path of one image of each identity; always the same one, whatever the order.

    The published protocol draws it at random, several times.

    Args:
        lines: the images' lines in lists, by path.
        rule: how to read them.
    """
    found: dict[int, str] = {}
    for path in sorted(lines, key=lambda path: hashlib.sha256(path.encode()).digest()):
        if (labels := rule.read(lines[path])) is not None:
            found.setdefault(labels[0], path)
    return set(found.values())
