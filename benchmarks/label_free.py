"""How well do scores that need no identities rank networks by their mAP?

    python -m benchmarks.label_free runs/*
    python -m benchmarks.label_free runs/* --networks --data-dir data

Reads finished runs with an mAP after each epoch. The labels of epoch e + 1 come from the network
after epoch e, so their scores are compared with its mAP; the start counts as epoch 0. Prints the
rank correlation (Spearman) of each score with the mAP: over the epochs of a run, mean of the runs;
and over runs, of the last scored networks.

`--networks` also scores the first and the last network of each run on the training images, by
their features: the silhouette of the clusters in the Jaccard space, and whether the nearest of an
augmented image, among others augmented anew, is the same image. Over two networks of a run a score
can only be right (1) or wrong (-1).
"""

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.images import Split
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network, initial_network
from pplr_cli.labelling.stage import find_neighbors, label, similarity
from pplr_cli.progress import SILENT
from pplr_cli.retrieval.model import Model
from pplr_cli.runs.records import Run
from pplr_cli.runtime import Runtime
from pplr_cli.weights.initial import initial_weights

Labels = NDArray[np.int64]
Figures = dict[str, float]

EPOCHS = 3
"""Fewest scored networks of a run for a rank correlation over its epochs."""


class Scored(NamedTuple):
    """A run: for each scored network, in order, its mAP and its scores."""

    name: str
    maps: list[float]
    scores: list[Figures]


class Seen(NamedTuple):
    """Features of the training images, [1 + P, N, D], and global ones of two augmentations."""

    features: Tensor
    one: Tensor
    two: Tensor


def main() -> None:
    options = arguments()
    runs = list(distinct(options.runs))
    recorded = [each for run in runs if len((each := by_records(run)).maps) >= EPOCHS]
    print(f"{len(recorded)} runs, {sum(len(run.maps) for run in recorded)} networks")
    print("\n".join(table(recorded)))
    if options.networks:
        torch.set_num_threads(1)
        known: dict[str, Seen] = {}
        scored = [by_networks(run, options.data_dir, known) for run in runs]
        print(f"\nfirst and last network of {len(scored)} runs")
        print("\n".join(table(scored)))


def distinct(folders: Sequence[Path]) -> Iterator[Run]:
    """Yield the runs with an mAP after each epoch, those with equal figures once."""
    seen: set[str] = set()
    for folder in folders:
        run = Run(folder)
        maps = [row.get("mAP") for row in run.rows]
        key = json.dumps(maps)
        if (
            len(maps) > EPOCHS
            and None not in maps
            and run.rows[0]["epoch"] == 0
            and key not in seen
        ):
            seen.add(key)
            yield run


def by_records(run: Run) -> Scored:
    """Score the networks by what the run recorded of the labels that they gave."""
    maps, scores = [], []
    for row in run.epochs:
        labels = run.path / "labels" / f"epoch-{row['epoch']:03d}.npz"
        if not labels.exists():
            continue
        with np.load(labels) as arrays:
            scores.append(of_row(row) | of_labels(arrays))
        maps.append(run.rows[int(row["epoch"]) - 1]["mAP"])
    return Scored(run.name, maps, scores)


def of_row(row: dict[str, Any]) -> Figures:
    """Return the recorded scores, higher if a network should be better."""
    found = {
        "stability (ARI with the labels before)": row.get("previous_ari"),
        "agreement of parts, all images": row["agreement_mean"],
        "clustered images, share": 1 - row["outlier_share"],
        "clusters of several cameras, share": _rest(row.get("single_camera_share")),
        "independence of clusters and cameras": _rest(row.get("camera_nmi")),
        "few clusters": -row["clusters"],
        "largest cluster, small share": 1 - row["largest_cluster_share"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share


def of_labels(arrays: Any) -> Figures:
    """Return the scores of the labels and of their explanation."""
    labels, agreement = arrays["labels"], arrays["agreement"]
    kept = labels >= 0
    found = {
        "agreement of parts, clustered images": agreement[kept],
        "agreement of parts, lowest part": agreement.mean(0).min(),
    }
    if "nearest" in arrays:  # not where tracks are clustered
        found |= {
            "5 nearest in the same cluster": (labels[arrays["nearest"]] == labels[:, None])[kept],
            "5 nearest within eps": arrays["within"],
            "mutual nearest neighbours": arrays["reciprocal"],
            "neighbours within eps": arrays["neighbors"],
        }
    return {name: float(np.mean(values)) for name, values in found.items()}


def by_networks(run: Run, data_dir: Path | None, known: dict[str, Seen]) -> Scored:
    """Score the first and the last network by their features of the training images.

    `known` keeps what the start saw, for other runs with the same start and images.
    """
    config, runtime = run.config, Runtime(torch.device("cpu"), SILENT, workers=1)
    images = run.open_data(data_dir, SILENT).split(Split.TRAIN)
    store = ImageStore.open(images, config.data, runtime)
    start = f"{config.data} {config.model} {config.seed}"
    if start not in known:
        network = initial_network(config, initial_weights(config.model, SILENT), SILENT)
        known[start] = see(network, store, runtime)
    seen = [known[start], see(Model.load(run.path / "last.pth", runtime).network, store, runtime)]
    scores = [of_features(each, images.cameras, config) for each in seen]
    return Scored(run.name, [run.rows[0]["mAP"], run.rows[-1]["mAP"]], scores)


def see(network: Network, store: ImageStore, runtime: Runtime) -> Seen:
    """Return the features of the images, and the global ones of two augmentations."""
    features = extract(network, store, runtime, batch=128)
    stores = [ImageStore(augmented(store.pixels, seed), runtime.device) for seed in (1, 2)]
    one, two = (extract(network, each, runtime, batch=128)[0] for each in stores)
    return Seen(features, one, two)


def of_features(seen: Seen, cameras: Labels, config: Config) -> Figures:
    """Return the scores of one network."""
    labels = label(seen.features, cameras, config.clustering, config.agreement).labels
    found = find_neighbors(seen.features[0], cameras, config.clustering)
    alike = similarity(seen.features[0], found, config.clustering)
    products = seen.one @ seen.two.T
    ranks = (products >= products.diagonal()[:, None]).sum(1)
    return {
        "silhouette in the Jaccard space": silhouette(alike.toarray(), labels),
        "augmented image finds itself, rank-1": float((ranks == 1).float().mean()),
        "augmented image finds itself, mean 1 / rank": float((1 / ranks).mean()),
    }


def silhouette(alike: NDArray[np.float32], labels: Labels) -> float:
    """Return the mean silhouette of the clustered images, distances 1 - `alike`."""
    kept = labels >= 0
    distances = 1 - alike[np.ix_(kept, kept)]
    np.fill_diagonal(distances, 0)
    return float(silhouette_score(distances, labels[kept], metric="precomputed"))


def augmented(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return the images, each flipped or not, shifted and partly erased."""
    found, rng = np.array(pixels), np.random.default_rng(seed)
    height, width = found.shape[1:3]
    for image in found:
        if rng.random() < 0.5:
            image[:] = image[:, ::-1].copy()
        down, right = (int(rng.integers(-side // 12, side // 12 + 1)) for side in (height, width))
        image[:] = np.roll(image, (down, right), (0, 1))
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        image[top : top + height // 3, left : left + width // 2] = 116
    return found


def table(runs: Sequence[Scored]) -> Iterator[str]:
    """Yield a row for each score; `chosen` is the mean mAP of the networks it ranks first."""
    yield "| score | within runs: mean, share at 0.7 or more | across runs | chosen |"
    yield "| --- | --- | --- | --- |"
    for name in dict.fromkeys(name for run in runs for each in run.scores for name in each):
        having = [kept for run in runs if (kept := having_score(run, name)) is not None]
        found = [correlation([each[name] for each in run.scores], run.maps) for run in having]
        inside = [each for each in found if each is not None]
        across = correlation(
            [run.scores[-1][name] for run in having], [run.maps[-1] for run in having]
        )
        best = [run.maps[int(np.argmax([each[name] for each in run.scores]))] for run in having]
        share = np.mean([each >= 0.7 for each in inside])
        yield (
            f"| {name} | {np.mean(inside):+.2f}, {share:.0%} of {len(inside)} "
            f"| {across or 0:+.2f} of {len(having)} | {100 * np.mean(best):.1f} |"
        )
    for name, choose in {
        "the first": itemgetter(0),
        "the last": itemgetter(-1),
        "the best": max,
    }.items():
        yield f"| {name} | | | {100 * np.mean([choose(run.maps) for run in runs]):.1f} |"


def having_score(run: Scored, name: str) -> Scored | None:
    """Return the run without the networks that lack a score; None if fewer than two have it."""
    kept = [place for place, each in enumerate(run.scores) if name in each]
    if len(kept) < 2:
        return None
    return Scored(run.name, [run.maps[k] for k in kept], [run.scores[k] for k in kept])


def correlation(scores: Sequence[float], maps: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None where one side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = float(spearmanr(scores, maps).statistic)
    return None if np.isnan(found) else found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--networks", action="store_true", help="score by features too")
    parser.add_argument("--data-dir", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
