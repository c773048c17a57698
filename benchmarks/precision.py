"""Compare the pseudo-labels from features computed in bf16 and in fp32.

    python -m benchmarks.precision
    python -m benchmarks.precision --device cuda --people 750 --batch 256

Uses pedestrians like those that the shipped weights were trained on. The baseline is fp32 with
another batch size, which differs only by rounding.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from benchmarks.tools import chosen_device
from pplr_cli.config import presets
from pplr_cli.config.fields import Precision
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import initial_network
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime
from pplr_cli.synthetic import world
from pplr_cli.weights.initial import initial_weights


def main() -> None:
    options = arguments()
    config = presets.resolve("demo", "train")
    with tempfile.TemporaryDirectory() as folder:
        images = people(Path(folder), options.people, options.seed)
        size = (config.data.height, config.data.width)
        pixels = decode_images(images, *size, Silent(), 2)
    device = chosen_device(options.device)
    network = initial_network(config, initial_weights(config.model, Silent()), Silent()).to(device)
    store = ImageStore(pixels, device)

    def labels(precision: Precision, batch: int, *, tf32: bool = False) -> PseudoLabels:
        torch.backends.cudnn.allow_tf32 = tf32
        with Runtime(device, precision=precision).autocast():
            features = extract(network, store, Runtime(device), batch=batch)
        return label(features, images.cameras, config.clustering, config.agreement)

    reference = labels("fp32", options.batch)
    print(f"{len(images)} images of {options.people} people, {device}, preset demo")
    report("fp32", reference, reference, images.identities)
    report("fp32, half batches", labels("fp32", options.batch // 2), reference, images.identities)
    if device.type == "cuda":  # PyTorch's default for fp32
        tf32 = labels("fp32", options.batch, tf32=True)
        report("fp32 in TF32", tf32, reference, images.identities)
    report("bf16", labels("bf16", options.batch), reference, images.identities)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0, help="of the world")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def people(folder: Path, count: int, seed: int) -> ImageSet:
    settings = replace(world.DEMO, train_people=count, test_people=4, distractors=0)
    images = world.make(folder, settings, seed=seed, reporter=Silent())
    return Manifest("people", "synthetic", folder, tuple(images), {}).split(Split.TRAIN)


def report(name: str, found: PseudoLabels, reference: PseudoLabels, identities: np.ndarray) -> None:
    """Print how much labels and agreement differ from the reference, and labels from identities."""
    both = (found.labels >= 0) & (reference.labels >= 0)
    one_sided = ((found.labels >= 0) != (reference.labels >= 0)).mean()
    same = adjusted_rand_score(reference.labels[both], found.labels[both])
    kept = found.labels >= 0
    true = adjusted_rand_score(identities[kept], found.labels[kept])
    difference = np.abs(found.agreement - reference.agreement).mean()
    print(f"{name}: {found.clusters} clusters, {found.outliers} outliers")
    print(f"  adjusted Rand index to fp32 {same:.4f}, to the identities {true:.4f}")
    print(f"  outlier on one side only: {100 * one_sided:.2f} % of the images")
    print(f"  agreement differs by {difference:.4f} on average")


if __name__ == "__main__":
    with torch.no_grad():
        main()
