"""Train with each switch that goes beyond the paper, and compare mAP and labels.

    python -m benchmarks.ablation demo --results ablation.jsonl
    python -m benchmarks.ablation people --weights start.pth --size 128 64 --results ablation.jsonl
    python -m benchmarks.ablation --results ablation.jsonl           # the table alone

Each run is appended to the results when it ends; runs that are there already are not repeated, so
that an interrupted call goes on. The identities of the training images serve the quality of the
labels, nothing else.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from scipy.sparse import coo_array

from pplr_cli import env
from pplr_cli.api import train
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.runs.records import Run

Labels = NDArray[np.int64]
Result = dict[str, Any]

SWITCHES: dict[str, dict[str, Any]] = {
    "plain": {},
    "camera_jaccard": {"clustering.distance": "camera_jaccard"},
    "hdbscan": {"clustering.algorithm": "hdbscan"},
    "infomap": {"clustering.algorithm": "infomap"},
    "find_tracks": {"clustering.find_tracks": True},
    "gem": {"model.pooling": "gem"},
    "camera_entropy": {"loss.camera_entropy": True},
}
"""Each switch alone: its settings. `A+B` on the command line joins two; B may be `key=value`."""
HARDER = {"optim.iters": 40, "optim.lr": 3.5e-4, "clustering.eps": 0.5}
"""Settings for weights of one's own, whose features real images would lose at the demo's rate."""


class Quality(NamedTuple):
    """Precision and recall of labels over all pairs of images."""

    precision: float
    recall: float


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    done = {(r["data"], r["switch"], r["seed"]) for r in results(options.results)}
    for seed, switch in product(options.seeds, options.switches):
        data = options.data and (options.name or options.data)
        if data is not None and (data, switch, seed) not in done:
            result = measure(switch, seed, options)
            with options.results.open("a") as file:
                file.write(json.dumps({"data": data, **result}) + "\n")
    print("\n".join(table(results(options.results))))


def measure(switch: str, seed: int, options: argparse.Namespace) -> Result:
    """Train once; return the mAP of each epoch, and the quality of first and last labels."""
    height, width = options.size
    size = {"data.height": height, "data.width": width, "optim.epochs": options.epochs}
    own = {} if options.weights is None else {"model.weights": str(options.weights), **HARDER}
    watched = {"evaluation.every": 1, "evaluation.at_start": True, "clustering.tracks": False}
    path = env.data_dir(options.data_dir) / options.data / FILE_NAME
    images = Manifest.load(path).split(Split.TRAIN)
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            "demo",
            data=options.data,
            data_dir=options.data_dir,
            cameras=options.mode == "train-cam",
            run_dir=Path(folder) / "run",
            overrides={**size, **own, **watched, **settings_of(switch)},
            seed=seed,
        )
        maps = [round(100 * row["mAP"], 2) for row in run.rows if "mAP" in row]
        found = [_quality_of(run, images, epoch) for epoch in (1, options.epochs)]
    return {"switch": switch, "mode": options.mode, "seed": seed, "mAP": maps, "labels": found}


def settings_of(switch: str) -> dict[str, Any]:
    """Return the settings of one switch, or of several, or of `key=value`, joined by `+`."""
    settings: dict[str, Any] = {}
    for one in switch.split("+"):
        key, is_setting, value = one.partition("=")
        settings |= {key: yaml.safe_load(value)} if is_setting else SWITCHES[one]
    return settings


def _quality_of(run: Run, images: ImageSet, epoch: int) -> Quality:
    return quality(run.labels(epoch).labels, images.identities)


def quality(labels: Labels, identities: Labels) -> Quality:
    """Return how many of the pairs that share a label share an identity, and the reverse."""
    kept = labels != OUTLIER
    together = coo_array((np.ones(kept.sum()), (labels[kept], identities[kept])))
    both = _pairs(together.tocsr().data)
    joined, same = _pairs(np.bincount(labels[kept])), _pairs(np.bincount(identities))
    return Quality(round(both / max(joined, 1), 3), round(both / max(same, 1), 3))


def _pairs(sizes: NDArray[Any]) -> float:
    return float((sizes * (sizes - 1) / 2).sum())


def results(path: Path) -> list[Result]:
    """Return the runs recorded so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(found: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a table: one row for each data set and switch.

    `pairs` are precision and recall of the first and the last labels.
    """
    yield "| data | switch | start | final mAP by seed | mean | spread | best | pairs |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for data, switch in dict.fromkeys((r["data"], r["switch"]) for r in found):
        runs = [r for r in found if (r["data"], r["switch"]) == (data, switch)]
        maps = [r["mAP"] for r in sorted(runs, key=lambda run: run["seed"])]
        last = [each[-1] for each in maps]
        spread = f"{np.std(last, ddof=1):.1f}" if len(last) > 1 else ""
        best = np.mean([max(each) for each in maps])
        labels = np.mean([run["labels"] for run in runs], 0)
        pairs = " -> ".join("{:.2f} {:.2f}".format(*each) for each in labels)
        finals = " ".join(f"{value:.1f}" for value in last)
        start = np.mean([each[0] for each in maps])
        yield (
            f"| {data} | {switch} | {start:.1f} | {finals} | {np.mean(last):.1f} | {spread} "
            f"| {best:.1f} | {pairs} |"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="name of the prepared data set; none = the table")
    parser.add_argument("--name", help="name of these runs in the table (default: the data set)")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", type=Path, help="initial weights (default: the demo's)")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 48), help="height and width")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--mode", choices=("train", "train-cam"), default="train-cam")
    parser.add_argument("--switches", nargs="+", default=list(SWITCHES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
