"""Nearest neighbours as `clustering.search` says: exact, or approximate to a measured recall.

The approximate search is that of faiss on the CPU: an inverted file leads each query to the nearest
lists of images (Jégou et al., PAMI 2011), 4-bit product codes in vector registers choose candidates
there (André et al., PAMI 2021), and their distances are computed in float32. The lists probed are
raised until a sample of the images finds enough of its exact neighbours.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config.fields import Clustering
from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.errors import missing_package
from pplr_cli.labelling.cpu_search import insert
from pplr_cli.labelling.kernels import dot, kernel
from pplr_cli.labelling.neighbors import Neighbors, checked, itself_first, nearest, nearest_of
from pplr_cli.labelling.screened_search import suits
from pplr_cli.parallel import by_blocks
from pplr_cli.progress import SILENT, Advance
from pplr_cli.runtime import Runtime

Ranks = NDArray[np.int32]

MANY = 200_000
"""Images from which `auto` searches approximately, unless 8-bit products make the exact search
fast: for fewer images it is about as fast anyway."""
SAMPLE = 1000
"""Images whose exact neighbours are known."""
CANDIDATES = 8
"""Candidates re-ranked for each neighbour."""
TRAINING = 32
"""Images for each list that the centres of the lists are computed from."""
PROBES = tuple(2.0**-step for step in np.arange(7, 0.75, -0.5))
"""Shares of the lists that are tried; with more the exact search is faster."""
BLOCK_ROWS, BLOCK_EXACT = 16384, 64
"""Images of an approximate and of an exact search at a time."""


def require(settings: Clustering) -> None:
    """Raise `PplrError` if the settings demand faiss and it is not installed."""
    if settings.search == "approximate" and find_spec("faiss") is None:
        instead = "or use `--set clustering.search=exact`"
        raise missing_package("clustering.search=approximate", "faiss", "search", instead)


def search(
    features: Tensor,
    k: int,
    settings: Clustering,
    runtime: Runtime,
    advance: Advance = SILENT.advance,
) -> Neighbors:
    """Return each image's k nearest images, exact or approximate; report which.

    Takes features [N, D], the same on all processes, which share the search; rank 0 gets the
    neighbours. On a GPU, and for `SAMPLE` images or fewer, the search is always exact.

    Raises:
        DataError: k exceeds N, or a feature is not finite or its square overflows.
        PplrError: an approximate search is demanded, and faiss is not installed.
    """
    require(settings)
    processes, reporter, n = runtime.processes, runtime.reporter, len(features)
    auto = settings.search == "auto" and n >= MANY and not suits(features)
    if (
        features.device.type != "cpu"
        or n <= SAMPLE
        or not (settings.search == "approximate" or (auto and find_spec("faiss")))
    ):
        return Neighbors(nearest(features, k, processes, advance))
    features, squares = checked(features, k)
    found = approximate_search(features, squares, k, settings.recall, processes, advance)
    if found is not None:
        reporter.info(
            f"approximate neighbours of {n:,} images: recall {found.recall:.4f} of "
            f"{min(SAMPLE, n):,} images (`clustering.recall` = {settings.recall})"
        )
        return found
    reporter.warn(
        f"an approximate search misses `clustering.recall` = {settings.recall}; searching exactly",
        "lower `clustering.recall`, or use `--set clustering.search=exact`",
    )
    return Neighbors(nearest(features, k, processes, advance))


def approximate_search(
    features: Tensor,
    squares: Tensor,
    k: int,
    recall: float,
    processes: Processes = ALONE,
    advance: Advance = SILENT.advance,
) -> Neighbors | None:
    """Return approximate neighbours of at least this recall on a sample, or None if it is missed.

    Takes features float32 [N, D] on the CPU and |f|^2 of each row. Each process builds the same
    index and searches its share of the rows.
    """
    index = _Index(features, squares, k)
    sample = np.sort(np.random.default_rng(0).permutation(len(features))[:SAMPLE])
    exact = _exact(sample, features, squares, k)
    exact, effort, measured = itself_first(exact, sample), -1, 0.0
    while measured < recall and effort < len(PROBES):
        effort += 1
        if effort < len(PROBES):
            index.probe(PROBES[effort])
            measured = _recall(index.search(sample), exact)
    effort = processes.largest(effort)  # the centres may differ in their last bits
    if effort == len(PROBES):
        return None
    index.probe(PROBES[effort])
    own = processes.share(len(features))
    rows = np.arange(own.start, own.stop)
    found = index.search(rows, lambda some: advance(some * len(features) / len(rows)))
    parts = processes.gather((found, measured))
    ranks = [np.empty((0, k), np.int32), *(part for part, _ in parts)]
    lowest = min((each for _, each in parts), default=measured)
    return Neighbors(np.concatenate(ranks), recall=lowest)


def _exact(rows: NDArray[np.int64], features: Tensor, squares: Tensor, k: int) -> Ranks:
    """Return the exact neighbours of some images, some images at a time."""
    blocks = torch.from_numpy(rows).split(BLOCK_EXACT)
    return np.concatenate([nearest_of(block, features, squares, k) for block in blocks])


def _recall(found: Ranks, exact: Ranks) -> float:
    """Return the mean share of the exact neighbours that were found, the image itself left out."""
    hits = [np.isin(a[1:], b[1:], assume_unique=True) for a, b in zip(exact, found, strict=True)]
    return float(np.mean(hits)) if exact.shape[1] > 1 else 1.0


class _Index:
    """An inverted file with product codes of the images, for searches of k neighbours."""

    def __init__(self, features: Tensor, squares: Tensor, k: int) -> None:
        faiss: Any = import_module("faiss")
        faiss.omp_set_num_threads(torch.get_num_threads())
        self._features, self._squares, self._k = features, squares, k
        n, size = features.shape
        self._lists = max(1, min(int(4 * n**0.5), n // TRAINING))
        codes = _codes(size)
        self._faiss = faiss.index_factory(size, f"IVF{self._lists},PQ{codes}x4fs")
        self._faiss.cp.min_points_per_centroid = 1  # else faiss prints a warning
        vectors = features.numpy()
        chosen = np.random.default_rng(0).permutation(n)[: max(TRAINING * self._lists, 4096)]
        self._faiss.train(vectors[np.sort(chosen)])
        self._faiss.add(vectors)

    def probe(self, share: float) -> None:
        """Set the share of the lists that a query visits."""
        self._faiss.nprobe = max(1, round(share * self._lists))

    def search(self, rows: NDArray[np.int64], advance: Advance = SILENT.advance) -> Ranks:
        """Return the neighbours of some images, int32 [rows, k]; `advance` counts them."""
        vectors, n = self._features.numpy(), len(self._features)
        ranks = np.full((len(rows), self._k), -1, np.int32)

        def search_block(start: int, end: int) -> None:
            block = rows[start:end]
            _, found = self._faiss.search(vectors[block], min(n, CANDIDATES * self._k))
            found.sort(axis=1)
            given = (vectors, self._squares.numpy(), block, found, ranks[start:end])
            size = -(-len(block) // torch.get_num_threads())
            by_blocks(len(block), lambda first, end: _rerank(*given, first, end), size)

        for start in range(0, len(rows), BLOCK_ROWS):
            end = min(start + BLOCK_ROWS, len(rows))
            search_block(start, end)
            advance(end - start)
        few = np.flatnonzero(ranks[:, -1] < 0)  # the lists held fewer than k images
        if len(few):
            ranks[few] = _exact(rows[few], self._features, self._squares, self._k)
        return itself_first(ranks, rows)


def _codes(size: int) -> int:
    """Return the number of product codes of a feature: one for two dimensions, or a few more."""
    most = size // 2 if size <= 512 else size // 4
    return next(codes for codes in range(max(most, 1), 0, -1) if size % codes == 0)


@kernel
def _rerank(features, squares, images, candidates, ranks, first, end):  # type: ignore[no-untyped-def]
    """Keep the nearest candidates of the rows first to end in `ranks`, nearest first."""
    distances = np.empty(ranks.shape[1], np.float32)
    for row in range(first, end):
        distances[:] = np.inf
        image = images[row]
        for other in candidates[row]:
            if other >= 0:
                product = dot(features[image], features[other])
                distance = squares[image] + squares[other] - np.float32(2) * product
                if distance < distances[-1]:
                    insert(distances, ranks[row], distance, other)
