"""Write the features of many images into a file; an interrupted call continues where it stopped.

Finished features are kept in shards, files in `<target>.partial`. The name of a shard is a digest
of all that its features depend on: the weights, the settings, and path, size and time of each of
its images. A shard that exists is therefore never computed again, and never used for other images.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.data.cache import TRANSFORM_VERSION, stamps
from pplr_cli.data.decode import decode
from pplr_cli.data.images import ImageSet
from pplr_cli.engine.stream import Broken, extract_stream
from pplr_cli.errors import DataError
from pplr_cli.files import atomic_write, check_space
from pplr_cli.retrieval.crops import without_broken
from pplr_cli.retrieval.feature_files import FeatureTable, write_table
from pplr_cli.retrieval.model import Model

SHARD = 4096
"""Images of a shard, about: an interruption loses as many at most."""
PARTIAL = ".partial"


class Embedded(NamedTuple):
    """What `embed_images` wrote."""

    images: ImageSet  # the images of the file, in its order
    reused: int  # images whose features an interrupted call had computed


def embed_images(
    model: Model,
    weights: str,
    images: ImageSet,
    target: Path,
    *,
    half: bool = False,
    skip_bad: bool = False,
    overwrite: bool = False,
) -> Embedded:
    """Write the L2-normalised features of images into a file (see `feature_files`).

    Args:
        model: the network.
        weights: SHA-256 of its weights file.
        images: N images.
        target: the file; its suffix decides the format.
        half: write float16 instead of float32.
        skip_bad: leave out images that cannot be decoded.
        overwrite: replace existing files.

    Raises:
        DataError: images cannot be decoded (all are listed). The features of the others are kept
            for the next call.
        PplrError: the disk is too full.
    """
    shards = _Shards(model, weights, images, target.with_name(target.name + PARTIAL))
    reused = shards.compute()
    kept = np.arange(len(images))
    if broken := shards.broken():
        kept = without_broken(images, broken, model.runtime.reporter, skip_bad=skip_bad)
    shape, found = (len(kept), model.network.feature_size), images.take(kept)
    dtype = np.dtype(np.float16 if half else np.float32)
    table = FeatureTable(found, shards.features(), shape, dtype, weights)
    write_table(target, table, overwrite=overwrite)
    shutil.rmtree(shards.folder)
    return Embedded(found, reused)


class _Shards:
    """The files that hold the features of consecutive images, NaN for those that are broken."""

    def __init__(self, model: Model, weights: str, images: ImageSet, folder: Path) -> None:
        self._model, self._images, self.folder = model, images, folder
        batch, data = model.config.engine.extract_batch, model.config.data
        self._size = batch * max(1, SHARD // batch)  # full batches, which round alike
        head = [1, TRANSFORM_VERSION, weights, data.height, data.width, batch, images.upright]
        lines = list(stamps(images))
        self._files = [
            folder / f"{_digest([*map(str, head), *lines[start : start + self._size]])}.npy"
            for start in range(0, len(images), self._size)
        ]

    def compute(self) -> int:
        """Write the shards that are missing; return the number of images in the others."""
        missing = [number for number, file in enumerate(self._files) if not file.is_file()]
        places = np.arange(len(self._images))
        rows = places[np.isin(places // self._size, missing)]
        self.folder.mkdir(parents=True, exist_ok=True)
        model, images = self._model, self._images.take(rows)
        size = 4 * model.network.feature_size * (len(rows) + len(places))
        check_space(self.folder, size, "the features")
        files = images.files
        reused = len(places) - len(rows)
        with _Writer([self._files[number] for number in missing], self._size) as writer:
            extract_stream(
                model.network,
                len(rows),
                lambda row: decode(files[row], upright=images.upright),
                model.config,
                model.runtime,
                writer.add,
                done=reused,
            )
        return reused

    def broken(self) -> Broken:
        """Return the images that cannot be decoded; read again, for the reason."""
        found: Broken = []
        files = self._images.files
        for row in np.flatnonzero(~np.concatenate([_finite(shard) for shard in self._arrays()])):
            try:
                decode(files[row], upright=self._images.upright)
            except DataError as error:
                found.append((int(row), error))
            else:
                hint = "check the weights; remove its `.partial` folder if the file was repaired"
                raise DataError(f"`{files[row]}`: its features are not finite numbers", hint)
        return found

    def features(self) -> Iterator[NDArray[np.float32]]:
        """Yield the features of the images that are not broken."""
        return (shard[_finite(shard)] for shard in self._arrays())

    def _arrays(self) -> Iterator[NDArray[np.float32]]:
        return (np.load(file, mmap_mode="r") for file in self._files)


class _Writer:
    """Collects batches [1, B, D] into shards and writes them on a thread of its own."""

    def __init__(self, files: list[Path], size: int) -> None:
        self._files, self._size = iter(files), size
        self._batches: list[Tensor] = []
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def __enter__(self) -> "_Writer":
        return self

    def add(self, batch: Tensor) -> None:
        """Take the features of the next batch."""
        self._batches.append(batch[0])
        if sum(map(len, self._batches)) == self._size:
            self._flush()

    def _flush(self) -> None:
        if self._last is not None:
            self._last.result()  # a full disk stops the work
        batches, self._batches = self._batches, []
        self._last = self._thread.submit(_save, next(self._files), batches)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._batches:
            self._flush()
        self._thread.shutdown()
        if kind is None and self._last is not None:
            self._last.result()


def _save(file: Path, batches: list[Tensor]) -> None:
    with atomic_write(file) as opened:
        np.save(opened, torch.cat(batches).cpu().numpy())


def _finite(shard: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isfinite(shard[:, 0])


def _digest(lines: list[str]) -> str:
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:32]
