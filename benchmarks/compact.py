"""The rate of `data.cache: compact` beside that of the network which it feeds.

    python -m benchmarks.compact --preset market --images 128 --batch 16 --rounds 3
    python -m benchmarks.compact --images 2048 --rounds 3

Passes of feature extraction over the same images alternate: decoded in memory, and packed, where
each batch is decoded by one thread while the network works. CPU seconds of one thread, as other
jobs may have the cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.input import make_photos
from pplr_cli import host
from pplr_cli.config import presets
from pplr_cli.data.cache import decode_images
from pplr_cli.data.compact import pack_images
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.progress import SILENT
from pplr_cli.runtime import Runtime


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    host.keep_freed_memory()  # as training does on a CPU
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PPLR_CACHE_DIR"] = f"{folder}/cache"
        photos = Path(folder) / "photos"
        photos.mkdir()
        compare(photos, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="demo", help="network and image size")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def compare(photos: Path, options: argparse.Namespace) -> None:
    """Print images a CPU second of the network alone, of decoding alone, and of both."""
    config = presets.resolve(options.preset, "train", ["model.weights=random"])
    images = make_photos(photos, options.images, np.random.default_rng(0))
    size = config.data.height, config.data.width
    pack = pack_images(images, *size, SILENT, 1)
    decoded, packed = ImageStore(decode_images(images, *size, SILENT, 1)), ImageStore(pack)
    network, order = Network.of(config.model), np.arange(options.images)

    def through(store: ImageStore) -> None:
        extract(network, store, Runtime(), batch=options.batch)

    work = {
        "network alone": lambda: through(decoded),
        "compact alone": lambda: [pack[rows] for rows in np.array_split(order, 16)],
        "network fed by compact": lambda: through(packed),
    }
    through(decoded)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(options.rounds):
        for name, job in work.items():
            before = time.perf_counter(), time.process_time()
            job()
            after = time.perf_counter(), time.process_time()
            seconds[name].append((after[0] - before[0], after[1] - before[1]))
    print(f"{config.model.backbone}, {size[0]} x {size[1]}, {options.images} images")
    for name, times in seconds.items():
        wall, cpu = (options.images / median(each) for each in zip(*times, strict=True))
        print(f"  {name}: {cpu:,.1f} images a CPU second, {wall:,.1f} a second")
    mean = sum(file.stat().st_size for file in images.files) / len(images)
    print(f"  {mean:,.0f} bytes an image, {3 * size[0] * size[1]:,} decoded")


if __name__ == "__main__":
    main()
