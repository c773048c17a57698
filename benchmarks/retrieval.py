"""Time and peak memory of evaluation and re-ranking.

    python -m benchmarks.retrieval --queries 3368 --gallery 15913 --size 2048 --dense
    python -m benchmarks.retrieval --queries 3368 --gallery 15913 --size 256 --rerank --dense

Peak memory is this process's peak above its resident memory before (VmHWM, reset through
/proc/self/clear_refs).
"""

import argparse
from typing import Any

import numpy as np

from benchmarks import dense
from benchmarks.tools import Watch, make_features, make_identities, resident
from pplr_cli.retrieval import ranking
from pplr_cli.retrieval.ranking import Scores, evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.retrieval.rerank import reranked_blocks


def main() -> None:
    options = arguments()
    rng = np.random.default_rng(options.seed)
    images = options.queries + options.gallery
    ids = make_identities(images, options.identities, rng)
    cameras = rng.integers(0, options.cameras, images)
    mixed = rng.permutation(images)
    features = make_features(ids, cameras, options.size, options.noise, rng)[mixed]
    cut = options.queries
    query, gallery = (part.to(options.device) for part in (features[:cut], features[cut:]))
    labels = (part for values in (ids, cameras) for part in np.split(values[mixed], [cut]))
    data = (query, gallery, *labels)
    del features

    def score(query: Any, gallery: Any, *labels: Any) -> Scores:
        return evaluate(query, gallery, find_relevance(*labels), rerank=options.rerank)

    score(*(part[:100] for part in data))  # compiles
    watch = Watch()
    blocks = "reranked_blocks" if options.rerank else "distance_blocks"
    watch.watch_blocks(ranking, blocks, "distances")
    for _ in range(options.runs):
        found = watch.measure("evaluation", lambda: score(*data))
    report(watch, found, options)
    if options.dense:
        compare(watch, found, data, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=3368, help="Q")
    parser.add_argument("--gallery", type=int, default=15913, help="G")
    parser.add_argument("--size", type=int, default=2048, help="D, length of a feature")
    parser.add_argument("--identities", type=int, default=750)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--noise", type=float, default=6.0, help="longest noise, in centres")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rerank", action="store_true", help="rank by re-ranked distances")
    parser.add_argument("--dense", action="store_true", help="compare with the dense definition")
    return parser.parse_args()


def report(watch: Watch, found: Scores, options: argparse.Namespace) -> None:
    kind = "re-ranked distances" if options.rerank else "distances"
    print(f"{options.queries} x {options.gallery}, D = {options.size}, {options.device}, medians")
    print(f"  evaluation, {kind} included: {watch.median('evaluation'):.2f} s")
    print(f"  {kind}: {watch.median('distances'):.2f} s")
    print(f"  after the {kind}: {watch.without('evaluation', 'distances'):.2f} s")
    peak = watch.peak("evaluation")
    print(f"  peak above the features: {peak:.2f} GB; in all: {resident():.2f} GB")
    print(f"  mAP {found.mAP:.6f}, rank-1 {found.rank(1):.6f}, mINP {found.mINP:.6f}")


def compare(
    watch: Watch, found: Scores, data: tuple[Any, ...], options: argparse.Namespace
) -> None:
    """Print how much scores and re-ranked distances differ from the dense definition."""
    query, gallery = (part.cpu().numpy() for part in data[:2])
    name = "dense distances"
    if options.rerank:
        distances = watch.measure(name, lambda: dense.rerank(query, gallery))
        ours = np.concatenate(list(reranked_blocks(*data[:2])))
        difference = np.abs(ours - distances)
        print(f"  largest difference of a re-ranked distance {difference.max():.1e}")
        print(f"  differing by more than 1e-4: {(difference > 1e-4).mean():.1e} of all")
    else:
        distances = watch.measure(name, lambda: dense.squared_distances(query, gallery))
    mean_precision, cmc = watch.measure("dense scores", lambda: dense.scores(distances, *data[2:]))
    for name in ("dense distances", "dense scores"):
        print(f"  {name}: {watch.median(name):.2f} s, peak {watch.peak(name):.2f} GB")
    print(f"  mAP differs by {abs(mean_precision - found.mAP):.1e}")
    print(f"  CMC differs by {np.abs(cmc - found.cmc).max():.1e}")


if __name__ == "__main__":
    main()
