"""Time and peak memory of the clustering stage, in units of one exact k-NN by faiss.

    python -m benchmarks.label_stage --images 12936 --size 2048 --identities 751 --dense
    torchrun --nproc-per-node 2 -m benchmarks.label_stage --images 100000 --size 256 --parts 0

Peak memory is this process's peak above its resident memory before the stage (VmHWM, reset through
/proc/self/clear_refs).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from benchmarks import dense
from benchmarks.tools import (
    GpuMemory,
    Watch,
    chosen_device,
    make_features,
    make_identities,
    resident,
)
from pplr_cli import host
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.launch import started_by_launcher
from pplr_cli.distributed.processes import ALONE, Group
from pplr_cli.engine.features import extract
from pplr_cli.labelling import stage
from pplr_cli.labelling.clustering import dbscan
from pplr_cli.labelling.disk_features import DiskFeatures, Features
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime

STAGE = "label stage"
PARTS = {
    "search": "k-NN, all features",
    "jaccard_distance": "Jaccard distance",
    "cluster": "DBSCAN",
    "cross_agreement": "cross agreement",
}
OF_TRACKS = {
    "find_tracks": "near-duplicates",
    "cluster_tracks": "clusters of tracks",
    "nearest": "k-NN, means of tracks",
    "cross_agreement": "cross agreement",
}


def main() -> None:
    options = arguments()
    device = chosen_device(options.device)
    host.keep_freed_memory()  # as training does on a CPU
    features, cameras, ids = make(options, options.features)
    clustering, agreement = (
        Clustering(eps=options.eps, search=options.search, find_tracks=options.find_tracks),
        Agreement(),
    )
    given = cameras, clustering, agreement
    watch, runtime = (
        Watch(),
        Runtime(device, processes=Group(device) if started_by_launcher() else ALONE),
    )
    compiles = features[0][None, :200].expand(1 + options.parts, -1, -1)
    label(compiles.to(device), cameras[:200], clustering, agreement)
    del compiles
    for function, name in (OF_TRACKS if options.find_tracks else PARTS).items():
        watch.watch(stage, function, name)
    gpu_memory = GpuMemory(device)
    on_device = features if isinstance(features, DiskFeatures) else features.to(device)
    for _ in range(options.runs):
        if options.unit:
            watch.measure("unit", lambda: unit(features[0]))
        with gpu_memory:
            found = watch.measure(STAGE, lambda: label(on_device, *given, runtime))
    runtime.processes.close()
    if not runtime.processes.first:
        return
    report(watch, found, on_device, ids)
    if device.type == "cuda":
        print(f"  peak on the GPU: {gpu_memory.peak:.2f} GB, features included")
    if options.check and options.features == "disk":
        in_memory, _, _ = make(options, "memory")
        exact = watch.measure("in memory", lambda: label(in_memory, *given))
        print(f"  with float32 features in memory: peak in all {resident():.2f} GB")
        score = adjusted_rand_score(exact.labels, found.labels)
        print(f"  adjusted Rand index to their labels: {score:.4f}")
    if options.check and found.recall is not None:
        against_exact(found, on_device, cameras, clustering)
    if options.dense:
        compare(found, features.numpy(), clustering, agreement)


def make(options: argparse.Namespace, kept: str) -> tuple[Features, np.ndarray, np.ndarray]:
    """Return features [1 + P, N, D] in memory or on disk, cameras and identities."""
    if options.weights:
        return of_network(options, kept)
    rng = np.random.default_rng(options.seed)
    ids = make_identities(options.images, options.identities, rng)
    cameras = rng.integers(0, options.cameras, len(ids))
    shape, device = (1 + options.parts, options.images, options.size), torch.device("cpu")
    features: Features = DiskFeatures(shape, device) if kept == "disk" else torch.empty(shape)
    for space in range(len(features)):
        made = make_features(ids, cameras, options.size, options.noise, rng)
        features[space : space + 1, 0 : len(ids)] = made[None]
    return features, cameras, ids


def of_network(options: argparse.Namespace, kept: str) -> tuple[Features, np.ndarray, np.ndarray]:
    """Return the features of all images of a data set by a trained network."""
    runtime = Runtime(cache=False)
    model = Model.load(options.weights, runtime)
    images = Manifest.load(options.data / "manifest.json").split()
    store = ImageStore.open(images, model.config.data, runtime)
    features = extract(model.network, store, runtime, batch=128, kept=kept)
    return features, images.cameras, images.identities


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12936, help="N")
    parser.add_argument("--size", type=int, default=2048, help="D, length of a feature")
    parser.add_argument("--identities", type=int, help="default: one for each 17 images")
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--parts", type=int, default=3, help="P, part features")
    parser.add_argument("--noise", type=float, default=6.0, help="longest noise, in centres")
    parser.add_argument("--eps", type=float, default=0.5)
    parser.add_argument("--find-tracks", action="store_true", help="cluster near-duplicates")
    parser.add_argument("--search", default="exact", help="or approximate: then also exactly")
    parser.add_argument("--features", default="memory", help="or disk: then also in memory")
    parser.add_argument("--weights", type=Path, help="features by this network, of --data")
    parser.add_argument("--data", type=Path, help="folder of a prepared data set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-unit", dest="unit", action="store_false", help="leave faiss out")
    parser.add_argument("--no-check", dest="check", action="store_false", help="compare nothing")
    parser.add_argument("--dense", action="store_true", help="compare with the dense definition")
    options = parser.parse_args()
    options.identities = options.identities or max(1, options.images // 17)
    return options


def unit(features: torch.Tensor) -> None:
    """Run one exact k-NN of k1 = 30 by faiss on the CPU."""
    import faiss

    vectors = features.numpy()
    faiss.knn(vectors, vectors, 30)


def against_exact(
    found: PseudoLabels, features: torch.Tensor, cameras: np.ndarray, clustering: Clustering
) -> None:
    """Print the recall of approximate searches, and how far the labels are those of exact ones."""
    exact = clustering.model_copy(update={"search": "exact"})
    labels = label(features, cameras, exact, Agreement()).labels
    print(f"  recall of the search: {found.recall:.4f}")
    print(f"  adjusted Rand index to exact labels: {adjusted_rand_score(labels, found.labels):.4f}")


def report(watch: Watch, found: PseudoLabels, features: Features, ids: np.ndarray) -> None:
    branches, images, size = features.shape
    kept = " on disk" if isinstance(features, DiskFeatures) else ""
    print(f"N = {images}, D = {size}, {branches - 1} parts, {features.device}{kept}, medians")
    per_unit = watch.median("unit") if "unit" in watch.seconds else None
    table = {name: watch.median(name) for name in watch.seconds}
    searched = PARTS["search"] in table
    if searched:
        table["all but k-NN"] = watch.without(STAGE, PARTS["search"])
    for name, seconds in table.items():
        units = f"{seconds / per_unit:8.3f} units" if per_unit else ""
        print(f"  {name:20} {seconds:9.3f} s {units}")
    if searched:
        rate = 2 * images**2 * size * branches / watch.median(PARTS["search"]) / 1e12
        print(f"  {rate:.3f} TFLOP/s of all pairs' products in the k-NN")
    print(f"  peak above the features: {watch.peak(STAGE):.2f} GB; in all: {resident():.2f} GB")
    kept = found.labels >= 0
    score = adjusted_rand_score(ids[kept], found.labels[kept])
    of_tracks = f" of {found.tracks} tracks" if found.tracks else ""
    print(f"  {found.clusters} clusters{of_tracks}, {found.outliers} outliers")
    print(f"  adjusted Rand index to the identities, outliers left out: {score:.4f}")


def compare(
    found: PseudoLabels, features: np.ndarray, clustering: Clustering, agreement: Agreement
) -> None:
    """Print how much labels and agreement differ from the dense definition."""
    start = time.perf_counter()
    columns = max(clustering.k1, agreement.k + 1)
    rank, *part_ranks = (dense.ranks(branch)[:, :columns].copy() for branch in features)
    distances = dense.jaccard_distance(features[0], rank, clustering.k1, clustering.k2)
    expected = dense.cluster(distances, clustering.eps, clustering.min_samples)
    scores = dense.agreement(rank, part_ranks, agreement.k)
    print(f"dense definition: {time.perf_counter() - start:.1f} s")
    print(f"  labels equal: {np.array_equal(found.labels, expected)}")
    print(f"  adjusted Rand index {adjusted_rand_score(expected, found.labels):.6f}")
    differing = np.abs(scores - found.agreement) > 1e-6
    print(f"  agreement differs for {differing.sum()} of {differing.size} scores")
    compare_pairs(features[0], distances, clustering)


def compare_pairs(vectors: np.ndarray, distances: np.ndarray, clustering: Clustering) -> None:
    """Print the pairs that only one side takes for neighbours, and the labels if ties all count."""
    limit = clustering.eps + dense.TIE
    ranks = stage.nearest(torch.from_numpy(vectors), clustering.k1)
    ours = stage.jaccard_distance(vectors, ranks, clustering.k1, clustering.k2, limit)
    rows, columns = ours.tocoo().coords
    taken = np.zeros(distances.shape, bool)
    taken[rows, columns] = ours.data <= clustering.eps
    other = taken != (distances <= clustering.eps)
    tied = np.abs(distances - np.float32(clustering.eps)) < dense.TIE
    print(f"  pairs within {dense.TIE} of eps: {tied.sum() // 2}")
    print(f"  of these decided differently: {(other & tied).sum() // 2}")
    print(f"  other pairs decided differently: {(other & ~tied).sum() // 2}")
    sides = (
        dbscan(ours, limit, clustering.min_samples),
        dense.cluster(distances, limit, clustering.min_samples),
    )
    equal = np.array_equal(*sides)
    print(f"  all pairs within {dense.TIE} of eps as neighbours: labels equal: {equal}")
    print(f"  adjusted Rand index {adjusted_rand_score(*sides):.6f}")


if __name__ == "__main__":
    main()
