"""Train on a data set with tracks in several ways, and compare mAP and labels.

    python -m benchmarks.tracks people --weights start.pth --size 128 64 --seeds 1 2 3
    python -m benchmarks.tracks people --weights start.pth --rows images tracks identities

Takes a data set that was prepared with tracks, and with identities to evaluate with; the training
images' identities serve the row `identities` and the quality of the labels, nothing else.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pplr_cli import env
from pplr_cli.api import train
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.features import extract
from pplr_cli.labelling import stage
from pplr_cli.labelling import tracks as clustering
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runs.records import Run

Labels = NDArray[np.int64]
Changed = AbstractContextManager[Any]


class Row(NamedTuple):
    """A way to train: what it changes, and its settings."""

    about: str
    changed: Callable[[ImageSet], Changed] = lambda _: nullcontext()
    settings: Mapping[str, Any] = MappingProxyType({})


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    path = env.data_dir(options.data_dir) / options.data / FILE_NAME
    images = Manifest.load(path).split(Split.TRAIN)
    print("| labels | final mAP by seed | mean | best | pairs, first -> last epoch |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.rows:
        row = ROWS[name]
        runs = [measure(row, images, options, seed) for seed in options.seeds]
        last = [maps[-1] for maps, _ in runs]
        finals = " ".join(f"{value:.1f}" for value in last)
        best = np.mean([max(maps[1:]) for maps, _ in runs])
        pairs = " -> ".join(
            "{:.2f} {:.2f}".format(*np.mean(each, 0))
            for each in zip(*(found for _, found in runs), strict=True)
        )
        print(
            f"| {row.about} | {finals} | {np.mean(last):.1f} | {best:.1f} | {pairs} |", flush=True
        )


def measure(
    row: Row, images: ImageSet, options: argparse.Namespace, seed: int
) -> tuple[list[float], list[tuple[float, float]]]:
    """Train once; return the mAP of each epoch in %, and the quality of first and last labels."""
    height, width = options.size
    settings = {
        "data.height": height,
        "data.width": width,
        "model.weights": str(options.weights),
        "optim.epochs": options.epochs,
        "optim.iters": 40,
        "optim.lr": 3.5e-4,
        "clustering.eps": 0.5,
        "evaluation.every": 1,
        "evaluation.at_start": True,
    }
    with tempfile.TemporaryDirectory() as folder, row.changed(images):
        run = train(
            "demo",
            data=options.data,
            data_dir=options.data_dir,
            cameras=True,
            run_dir=Path(folder) / "run",
            overrides={**settings, **row.settings},
            seed=seed,
        )
        maps = [100 * each["mAP"] for each in run.rows if "mAP" in each]
        return maps, [quality(run, images, epoch) for epoch in (1, options.epochs)]


def quality(run: Run, images: ImageSet, epoch: int) -> tuple[float, float]:
    """Return precision and recall of an epoch's labels over all pairs of tracks."""
    tracks = Tracks.from_images(images)
    assert tracks is not None
    first = np.unique(tracks.of, return_index=True)[1]
    labels, identities = run.labels(epoch).labels[first], images.identities[first]
    one, other = np.triu_indices(len(first), 1)
    joined = (labels[one] == labels[other]) & (labels[one] != OUTLIER)
    same = identities[one] == identities[other]
    right = (joined & same).sum()
    return right / max(joined.sum(), 1), right / max(same.sum(), 1)


@contextmanager
def true_identities(images: ImageSet) -> Iterator[None]:
    """Label by the identities: the ceiling of the recipe."""
    truth = np.unique(images.identities, return_inverse=True)[1]

    def label(*arguments: Any, **more: Any) -> PseudoLabels:
        return PseudoLabels(truth, stage.label(*arguments, **more).agreement)

    with patch("pplr_cli.engine.trainer.label", label):
        yield


def camera_means(vectors: Tensor, tracks: Tracks, *_: Any) -> Tensor:
    """Subtract each camera's mean instead of aligning matched tracks."""
    at = torch.from_numpy(np.unique(tracks.cameras, return_inverse=True)[1])
    means = torch.stack([vectors[at == camera].mean(0) for camera in at.unique()])
    return F.normalize(vectors - means[at])


def pairs_only(features: Tensor, tracks: Tracks, k: int, *_: Any) -> Labels:
    """Join each track with its mutual nearest one, in one round."""
    join, original = clustering.join_tracks, clustering.dense_search
    rounds = iter((original,))

    def once(left: Tensor, right: Tensor, mask: Any, count: int) -> tuple[Tensor, Tensor]:
        best, found = original(left, right, mask, count)
        return (best, found) if next(rounds, None) else (torch.full_like(best, -torch.inf), found)

    def joined(vectors: Tensor, tracks: Tracks, k: int, *_: Any) -> Labels:
        with patch.object(clustering, "dense_search", once):
            return join(vectors, tracks, k)

    with patch.object(clustering, "join_tracks", joined):
        return clustering.cluster_tracks(features, tracks, k)


def alone(features: Tensor, tracks: Tracks, k: int, *_: Any) -> Labels:
    """Make a cluster of each track that is not joined."""
    labels = clustering.cluster_tracks(features, tracks, k)
    left = labels == OUTLIER
    labels[left] = labels.max() + 1 + np.unique(tracks.of[left], return_inverse=True)[1]
    return labels


def changing(target: str, value: Any) -> Callable[[ImageSet], Changed]:
    return lambda _: patch(target, value)


_STAGE, _TRACKS = "pplr_cli.labelling.stage.cluster_tracks", "pplr_cli.labelling.tracks"
ROWS = {
    "images": Row("images, as without tracks", settings={"clustering.tracks": False}),
    "tracks": Row("tracks"),
    "identities": Row("the true identities", true_identities),
    "unaligned": Row(
        "without camera alignment", changing(f"{_TRACKS}.align_cameras", lambda v, *_: v)
    ),
    "means": Row(
        "camera means subtracted instead", changing(f"{_TRACKS}.align_cameras", camera_means)
    ),
    "unmirrored": Row(
        "without mirror images",
        changing("pplr_cli.engine.trainer.extract", lambda *a, mirrored, **m: extract(*a, **m)),
    ),
    "pairs": Row("one round of joining", changing(_STAGE, pairs_only)),
    "alone": Row("other tracks as clusters of their own", changing(_STAGE, alone)),
    "k3": Row("`clustering.track_k=3`", settings={"clustering.track_k": 3}),
    "k8": Row("`clustering.track_k=8`", settings={"clustering.track_k": 8}),
    "slow": Row("`optim.lr=1e-4`", settings={"optim.lr": 1e-4}),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="name of the prepared data set")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 64), help="height and width")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
