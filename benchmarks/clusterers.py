"""Cost and quality of the distances and clusterers, on the same features.

    python -m benchmarks.clusterers --images 12936 --dimensions 2048 --identities 751
    python -m benchmarks.clusterers --data people --weights start.pth --size 128 64 --eps 0.5

Seconds are CPU seconds of one thread, medians over alternating runs: other jobs on the machine
change them little. The F-score (precision / recall) in % is that of all pairs of images, outliers
in no pair.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.review import Ints, load, quality
from benchmarks.tools import make_features, make_identities, reset_peak, status
from pplr_cli.config.fields import Clustering
from pplr_cli.labelling.clustering import CLUSTERERS, cluster, reach
from pplr_cli.labelling.stage import DISTANCES, find_neighbors


class Watch:
    """CPU seconds and peak memory of named work."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.peaks: dict[str, int] = defaultdict(int)

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        """Run `work`, keep what it took, and return its result."""
        before, start = reset_peak(), time.process_time()
        result = work()
        self.seconds[name].append(time.process_time() - start)
        self.peaks[name] = max(self.peaks[name], status("VmHWM") - before)
        return result


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    features, cameras, ids = synthetic(options) if options.data is None else real(options)
    base = Clustering(k1=options.k1, eps=options.eps)
    known = [name for name in CLUSTERERS if name != "infomap" or find_spec("infomap")]
    warm_up(known, base)
    watch, found = Watch(), {}
    for _ in range(options.runs):
        for distance in DISTANCES:
            chosen = base.model_copy(update={"distance": distance})
            near = watch.measure(
                f"{distance}: search", lambda s=chosen: find_neighbors(features, cameras, s)
            )
            for algorithm in known:
                settings = chosen.model_copy(update={"algorithm": algorithm})
                far = settings.model_copy(update={"eps": reach(settings)})
                distances = watch.measure(
                    f"{distance}: distances up to {far.eps}",
                    lambda d=distance, s=far, n=near: DISTANCES[d](features, n, s),
                )
                found[distance, algorithm] = watch.measure(
                    f"{distance}: {algorithm}",
                    lambda d=distances, s=settings: cluster(d, cameras, s),
                )
    report(watch, found, ids)


def synthetic(options: argparse.Namespace) -> tuple[Tensor, Ints, Ints]:
    """Return features as those of `benchmarks.label_stage`, cameras and identities."""
    rng = np.random.default_rng(0)
    ids = make_identities(options.images, options.identities, rng)
    cameras = rng.integers(0, options.cameras, len(ids))
    return make_features(ids, cameras, options.dimensions, options.noise, rng), cameras, ids


def real(options: argparse.Namespace) -> tuple[Tensor, Ints, Ints]:
    """Return the features of a data set by the given weights, cameras and identities."""
    options.visits = False
    bench = load(options)
    return bench.features[0], bench.images.cameras, bench.images.identities


def warm_up(known: list[str], base: Clustering) -> None:
    """Compile all loops."""
    rng = np.random.default_rng(0)
    ids, cameras = np.arange(300) // 10, np.arange(300) % 4
    features = make_features(ids, cameras, 64, 1, rng)
    for distance in DISTANCES:
        for algorithm in known:
            settings = base.model_copy(update={"distance": distance, "algorithm": algorithm})
            near = find_neighbors(features, cameras, settings)
            cluster(DISTANCES[distance](features, near, settings), cameras, settings)


def report(watch: Watch, found: dict[tuple[str, str], Ints], ids: Ints) -> None:
    print(f"{len(ids)} images")
    for name, seconds in watch.seconds.items():
        print(f"  {name:40} {median(seconds):9.2f} s {watch.peaks[name] / 1e9:6.2f} GB")
    for (distance, algorithm), labels in found.items():
        counts = f"{labels.max() + 1} clusters, {(labels < 0).mean():.0%} outliers"
        print(f"  {distance:15} {algorithm:8} {quality(labels, ids)}, {counts}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12936)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--identities", type=int, default=751)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--noise", type=float, default=6.0)
    parser.add_argument("--data", help="a prepared data set instead of made features")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", default="synthetic")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 48))
    parser.add_argument("--k1", type=int, default=30)
    parser.add_argument("--eps", type=float, default=0.5)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
