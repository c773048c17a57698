"""What earlier checks of a folder's images found: a second check reads only files that changed.

A file counts as unchanged while its size, its time of modification and that of its last change of
status are the same. The results are in the cache folder, and are saved while a check goes on, so
that an interrupted one continues.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pplr_cli import env
from pplr_cli.data.cache import NO_ARRAY, sweep
from pplr_cli.files import atomic_write

MANY = 10_000
"""Images from which the results are kept: fewer are checked again in seconds."""
SAVE_SECONDS = 300.0
YOUNG = 2_000_000_000
"""Nanoseconds for which a file may change again without another time, on any file system."""
CHECK = np.dtype([("stamp", "<i8", 3), ("digest", "S64"), ("quality", "u1")])
"""Size and times of a file, its SHA-256 and what was found."""

Check = tuple[tuple[int, int, int], str, int]


class Checks:
    """The checked images below a folder, by path.

    Args:
        root: the folder.
        upright: whether EXIF orientation is applied.
    """

    def __init__(self, root: Path, *, upright: bool) -> None:
        self._root, self._lock = root.resolve(), Lock()
        key = hashlib.sha256(f"{self._root}\0{upright}".encode(errors="surrogateescape"))
        self._path = env.cache_dir() / "checks" / f"{key.hexdigest()[:32]}.npz"
        self._found: dict[str, Check] = {}
        self._due = time.monotonic() + SAVE_SECONDS

    def unchanged(self, paths: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return SHA-256 and quality of the images that are as they were."""
        if len(paths) < MANY:
            return {}
        before = self._load()
        for path in paths:
            if (check := before.get(path)) is not None:
                with suppress(OSError):
                    if _stamp(os.stat(self._root / path)) == check[0]:  # noqa: PTH116
                        self._found[path] = check
        return {path: check[1:] for path, check in self._found.items()}

    def add(self, path: str, status: os.stat_result, digest: str, quality: int) -> None:
        """Add a checked image, with the status that its file had before it was read."""
        if time.time_ns() - status.st_mtime_ns < YOUNG:
            return
        with self._lock:
            self._found[path] = _stamp(status), digest, quality
            due = time.monotonic() > self._due
            if due:
                self._due = time.monotonic() + SAVE_SECONDS
        if due:
            self.save()

    def save(self) -> None:
        """Write the results, if they are many and the cache can be written."""
        with self._lock:
            found = dict(self._found)
        if len(found) < MANY:
            return
        paths = "\0".join(found).encode(errors="surrogateescape")
        checks = np.array(list(found.values()), CHECK)
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self._path.parent)
            with atomic_write(self._path) as file:
                np.savez(file, paths=np.frombuffer(paths, np.uint8), checks=checks)

    def _load(self) -> dict[str, Check]:
        """Return the results of an earlier check; none if they cannot be read."""
        try:
            with self._path.open("rb") as file, np.load(file) as arrays:
                paths: NDArray[Any] = arrays["paths"]
                checks = arrays["checks"].astype(CHECK, casting="equiv")
        except (OSError, KeyError, BadZipFile, *NO_ARRAY):
            return {}
        names = paths.tobytes().decode(errors="surrogateescape").split("\0")
        stamps, digests = checks["stamp"].tolist(), checks["digest"].astype(str).tolist()
        rows = zip(map(tuple, stamps), digests, checks["quality"].tolist(), strict=True)
        return dict(zip(names, rows, strict=False))


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
