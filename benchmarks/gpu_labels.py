"""Part `labels` of `benchmarks.gpu`: the label stage, and the searches against each other."""

import time
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu_report import Part
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.labelling import neighbors
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.timing import Stopwatch

PARTS = 3
CLUSTERING, AGREEMENT = Clustering(), Agreement()


class World(NamedTuple):
    """A data set's size: images, length of a feature, identities, largest seconds wanted."""

    images: int
    size: int
    identities: int
    bar: float


WORLDS = (World(12936, 2048, 751, 0.6), World(32621, 2048, 1041, 3.0))
TINY = (World(400, 32, 20, 60.0),)


def measure(part: Part) -> None:
    """Measure the label stage at the size of Market-1501 and of MSMT17."""
    for number, world in enumerate(TINY if part.tiny else WORLDS):
        with part.guarded(f"N = {world.images}"):
            features, ids = make_features(world, part.device)
            stage(part, world, features, ids)
            if number == 0:
                searches(part, features)
                rounding(part, features)
            del features


def make_features(world: World, device: torch.device) -> tuple[Tensor, np.ndarray]:
    """Return unit features [1 + P, N, D], drawn on the device, and the identities.

    Identity's centre + noise, whose length differs from image to image (0 to 6 centres).
    """
    generator = torch.Generator(device).manual_seed(0)
    ids = torch.arange(world.images, device=device) * world.identities // world.images

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    features = torch.empty((1 + PARTS, world.images, world.size), device=device)
    for branch in features:
        length = 6 * torch.rand(world.images, 1, generator=generator, device=device)
        values = draw(world.identities, world.size)[ids]
        branch.copy_(torch.nn.functional.normalize(values + length * draw(*branch.shape)))
    return features, ids.cpu().numpy()


def labelled(features: Tensor, watch: Stopwatch | None = None) -> PseudoLabels:
    """Run the label stage, all images from one camera."""
    cameras = np.zeros(features.shape[1], np.int64)
    return label(features, cameras, CLUSTERING, AGREEMENT, watch=watch)


def stage(part: Part, world: World, features: Tensor, ids: np.ndarray) -> None:
    """Time the label stage, part by part, and count what it copies to the host."""
    labelled(features[:, :200])  # compiles
    seconds, parts = [], []
    for _ in range(3):
        watch = Stopwatch()
        part.wait()
        start = time.perf_counter()
        found = labelled(features, watch)
        seconds.append(time.perf_counter() - start)
        parts.append(watch.seconds)
    with Copies() as copies:
        labelled(features)
    kept = found.labels >= 0
    part.row(
        what=f"label stage, N = {world.images}, D = {world.size}",
        seconds=median(seconds),
        bar=world.bar,
        **{name: median(each[name] for each in parts) for name in parts[0]},
        copies=copies.count,
        copied_mb=copies.size / 1e6,
        waits=copies.waits,
        clusters=found.clusters,
        outliers=found.outliers,
        rand_index=float(adjusted_rand_score(ids[kept], found.labels[kept])),
    )


def searches(part: Part, features: Tensor) -> None:
    """Measure the search: seconds, and how many neighbours a float64 search confirms."""
    whole, k = features[0], CLUSTERING.k1
    squares = torch.einsum("nd,nd->n", whole, whole)
    reference = exact_neighbors(whole, k)
    search = neighbors.search_for(whole)
    search(whole, squares, k)  # sets things up
    runs = []
    for _ in range(3):
        part.wait()
        start = time.perf_counter()
        ranks = search(whole, squares, k)
        runs.append(time.perf_counter() - start)
    rows = np.asarray(ranks)[: len(reference)]
    agreed = [len(set(a) & set(b)) for a, b in zip(rows, reference, strict=True)]
    confirmed = sum(agreed) / reference.size
    part.row(what=f"search: {search.__name__}", seconds=median(runs), confirmed=confirmed)


def exact_neighbors(features: Tensor, k: int, rows: int = 512) -> np.ndarray:
    """Return the k nearest images of the first rows, by distances in float64."""
    wide = features.double()
    distances = torch.cdist(wide[:rows], wide, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.topk(k, largest=False).indices.cpu().numpy()


def rounding(part: Part, features: Tensor) -> None:
    """Compare the labels with those of TF32 products, and with those that the CPU finds."""
    expected = labelled(features)
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        tf32 = labelled(features)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    compare(part, "labels, TF32 against float32", tf32, expected)
    small = features[:, :3000]
    if part.left > 20:
        compare(
            part, "labels of 3,000 images, this device against the CPU",
            *(labelled(f) for f in (small, small.cpu())),
        )  # fmt: skip


def compare(part: Part, what: str, found: PseudoLabels, expected: PseudoLabels) -> None:
    """Add a row on how far two results are the same."""
    part.row(
        what=what,
        rand_index=float(adjusted_rand_score(expected.labels, found.labels)),
        labels_differ=int((found.labels != expected.labels).sum()),
        agreement_differs=int((np.abs(found.agreement - expected.agreement) > 1e-6).sum()),
    )


class Copies(TorchDispatchMode):
    """Counts the tensors copied from a GPU to the host, their bytes, and the values waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = self.size = self.waits = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = str(function)
        if name.startswith("aten._to_copy") and args[0].is_cuda and not result.is_cuda:
            self.count, self.size = self.count + 1, self.size + result.nbytes
        elif name.startswith(("aten._local_scalar_dense", "aten.nonzero")) and args[0].is_cuda:
            self.waits += 1
        return result
