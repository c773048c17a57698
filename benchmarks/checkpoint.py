"""Time saving and loading the state of a run, compared with a training step.

    python -m benchmarks.checkpoint --folder /path/on/the/disk

Uses random images and pseudo-labels: the times do not depend on them.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np

from benchmarks.tools import Watch, chosen_device
from pplr_cli.config import presets
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.checkpoint import load_state, save_state
from pplr_cli.engine.epoch import EpochState
from pplr_cli.engine.network import initial_network
from pplr_cli.engine.trainer import Trainer
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime

STEP, SAVE, LOAD = "training step", "save_state", "load_state"


def main() -> None:
    options = arguments()
    trainer = make_trainer(options)
    step(trainer)  # the first takes longer
    watch = Watch()
    for _ in range(options.steps):
        watch.measure(STEP, lambda: step(trainer))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "state.pt"
        for _ in range(options.runs):
            watch.measure(SAVE, lambda: save_state(trainer.state_dict(), path))
            watch.measure(LOAD, lambda: trainer.load_state_dict(load_state(path)))
        report(options, watch, path.stat().st_size / 1e6)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50", choices=("resnet50", "tiny"))
    parser.add_argument("--images", type=int, default=12936, help="N, images with pseudo-labels")
    parser.add_argument("--classes", type=int, default=3000, help="rows of each classifier")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def make_trainer(options: argparse.Namespace) -> Trainer:
    """Return a trainer whose state is that of a run in the middle of an epoch."""
    settings = [
        f"model.backbone={options.backbone}",
        "model.weights=random",
        f"model.classes={options.classes}",
        f"batch.size={options.batch}",
        f"optim.iters={options.steps + 1}",
    ]
    config = presets.resolve("market", "train", settings)
    rng = np.random.default_rng(0)
    shape = (options.images, config.data.height, config.data.width, 3)
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")
    pixels = np.broadcast_to(rng.integers(0, 256, shape[1:], np.uint8), shape)
    names = tuple(map(str, range(options.images)))
    images = TrainingImages(ImageStore(pixels), np.zeros(options.images, np.int64), names)
    network = initial_network(config, None, Silent())
    runtime = Runtime(chosen_device(options.device))
    trainer = Trainer(config, network, images, runtime, with_cameras=False)
    labels = np.arange(options.images) % min(750, options.classes)
    agreement = rng.random((options.images, config.model.parts), np.float32)
    trainer.current = EpochState(PseudoLabels(labels, agreement))
    trainer.method.clusters = trainer.current.pseudo.clusters
    trainer.network.train()
    return trainer


def step(trainer: Trainer) -> None:
    """Take one training step on the next batch, and wait for it."""
    current = trainer.current
    assert current is not None
    batches = trainer._batches(current)
    current.losses.append(trainer._step(batches, current.steps, current.watch))
    trainer.check_losses(current)


def report(options: argparse.Namespace, watch: Watch, size: float) -> None:
    """Print the medians, and what a save every few minutes adds."""
    minutes = presets.resolve("market", "train").engine.save_minutes
    print(
        f"{options.backbone}, {options.classes} classes, {options.images} images, {options.device}"
    )
    print(f"  state: {size:.1f} MB; two are kept, a third while it is written")
    for name in (SAVE, LOAD, STEP):
        print(f"  {name:24} {watch.median(name):8.3f} s, peak {watch.peak(name):6.3f} GB")
    print(f"  {size / watch.median(SAVE):.0f} MB/s are saved, a step has {options.batch} images")
    print(f"  a save every {minutes:g} minutes adds {watch.median(SAVE) / (60 * minutes):.2%}")


if __name__ == "__main__":
    main()
