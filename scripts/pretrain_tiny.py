"""Pretrain the shipped `tiny` backbone with labels, on people and cameras the demo never shows.

Draws the world `PRETRAINING` (from a separate random stream, so it shares no person and no camera
with a demo data set), trains with cross entropy and the batch-hard triplet loss, and writes the
backbone's weights in half precision. Stops early on purpose, to leave much for the demo to learn.
From random weights the small network learns nothing with the full augmentation: it is weaker here.

    python scripts/pretrain_tiny.py
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from pplr_cli.data.augment import PADDING, Choices, augment, draw_choices
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.sampler import epoch_batches
from pplr_cli.engine.losses import soft_triplet
from pplr_cli.engine.network import Network
from pplr_cli.files import atomic_write
from pplr_cli.progress import Silent
from pplr_cli.synthetic import PRETRAINING, make

WEIGHTS = Path(__file__).parent.parent / "pplr_cli" / "weights" / "tiny_synthetic.pth"
SEED = 1
STEPS, WARM_UP = 1200, 50
BATCH, INSTANCES = 64, 4
RATE = 1e-3
SHIFT = 4
"""Largest shift of a crop in pixels (training: 10)."""
ERASED = 0.6
"""Share of the drawn boxes that are erased."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to train on")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="file to write")
    options = parser.parse_args()
    pixels, labels, cameras = draw_world()
    network = train(pixels, labels, cameras, options.steps)
    save(network, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


def draw_world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the crops of the pretraining world, uint8 [N, H, W, 3], their labels and cameras."""
    with tempfile.TemporaryDirectory() as folder:
        root, started = Path(folder), time.monotonic()
        records = make(root, PRETRAINING, seed=SEED, reporter=Silent())
        images = Manifest("pretraining", "synthetic", root, tuple(records), {}).split(Split.TRAIN)
        size = PRETRAINING.height, PRETRAINING.width
        pixels = decode_images(images, *size, Silent(), 1)
    print(f"{len(images)} crops drawn in {time.monotonic() - started:.0f} s", flush=True)
    return pixels, np.unique(images.identities, return_inverse=True)[1], images.cameras


def train(pixels: np.ndarray, labels: np.ndarray, cameras: np.ndarray, steps: int) -> Network:
    """Return a network trained on the labels by its global feature."""
    torch.manual_seed(SEED)
    people = int(labels.max()) + 1
    network = Network("tiny", parts=1, classes=people).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1, (step + 1) / WARM_UP) * (1 + np.cos(np.pi * step / steps)) / 2,
    )
    batches = epoch_batches(
        labels, cameras, size=BATCH, instances=INSTANCES, iters=steps, seed=SEED, epoch=0
    )
    for step, indices in enumerate(batches):
        choices = draw_choices(BATCH, *pixels.shape[1:3], seed=SEED, epoch=0, step=step)
        images = augment(torch.from_numpy(pixels[indices]), gentler(choices, step))
        target = torch.from_numpy(labels[indices])
        output = network(images, people)
        loss = F.cross_entropy(output.global_logits, target, label_smoothing=0.1)
        loss = loss + soft_triplet(output.global_feature, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}/{steps}: loss {loss.item():.3f}", flush=True)
    return network


def gentler(choices: Choices, step: int) -> Choices:
    """Return the choices with smaller shifts and fewer erased boxes."""
    kept = np.random.default_rng([SEED, step]).random(BATCH) < ERASED
    top, left = (
        (values - PADDING) * SHIFT // PADDING + PADDING for values in (choices.top, choices.left)
    )
    return Choices(choices.flip, top, left, choices.erase * kept[:, None])


def save(network: Network, path: Path) -> None:
    """Write the backbone's part of the state dict, floating-point tensors in half precision."""
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
        if name.startswith("base.")
    }
    with atomic_write(path) as file:
        torch.save(state, file)


if __name__ == "__main__":
    main()
