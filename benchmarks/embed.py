"""Measure `pplr embed` against the network alone, in images per second.

    python -m benchmarks.embed --images 4096 --threads 1
    python -m benchmarks.embed --preset market --images 128 --batch 16 --threads 1

The network computes the features of images that are decoded already, in the same batches. All
sides alternate; the file, its shards and their syncs belong to `embed`. Where network and decoding
share the same cores, their CPU times bound the ratio.
"""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.input import make_photos
from benchmarks.tools import Watch, chosen_device
from pplr_cli import host
from pplr_cli.config import presets
from pplr_cli.data.cache import decode_images
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.progress import SILENT
from pplr_cli.retrieval.embedding import embed_images
from pplr_cli.retrieval.model import Model
from pplr_cli.runtime import Runtime

NAMES = NETWORK, DECODING, EMBED = "network alone", "decoding alone", "embed"


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = chosen_device(options.device)
    config = presets.resolve(options.preset, "train", [f"engine.extract_batch={options.batch}"])
    runtime = Runtime(device, workers=options.workers)
    network = Network(config.model.backbone, config.model.parts, 1).to(device)
    model = Model(network, config, runtime, {})
    with tempfile.TemporaryDirectory() as folder:
        images = make_photos(Path(folder), options.images, np.random.default_rng(0))
        data, batch = config.data, config.engine.extract_batch
        pixels = decode_images(images, data.height, data.width, SILENT, options.workers)
        store, target = ImageStore(pixels, device), Path(folder) / "out" / "features.npz"

        def alone() -> torch.Tensor:
            return extract(network, store, runtime, batch=batch, parts=False).cpu()

        def decode() -> None:
            decode_images(images, data.height, data.width, SILENT, options.workers)

        def embed() -> None:
            shutil.rmtree(target.parent, ignore_errors=True)
            embed_images(model, "", images, target)

        alone()
        embed()  # threads, memory and file cache
        watch, cpu = Watch(), defaultdict(list)
        for _ in range(options.rounds):
            for name, work in zip(NAMES, (alone, decode, embed), strict=True):
                start = time.process_time()
                watch.measure(name, work)
                cpu[name].append(time.process_time() - start)
        with np.load(target) as found:
            assert np.array_equal(found["vector"], alone()[0].numpy())
    report(watch, cpu, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--preset", default="demo", help="network and image size")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--workers", type=int, default=host.cores(), help="that decode")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def report(watch: Watch, cpu: dict[str, list[float]], options: argparse.Namespace) -> None:
    print(f"{options.images} images, preset {options.preset}, {options.threads} torch threads")
    work = {name: 1000 * min(seconds) / options.images for name, seconds in cpu.items()}
    for name, seconds in watch.seconds.items():
        rate = options.images / median(seconds)
        print(f"  {name}: {rate:.3g} images/s; {work[name]:.3g} ms of CPU time an image")
    pairs = zip(watch.seconds[NETWORK], watch.seconds[EMBED], strict=True)
    ratios = sorted(fast / slow for fast, slow in pairs)
    print(f"  ratio: {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    share, bound = (work[NETWORK] / x for x in (work[EMBED], work[NETWORK] + work[DECODING]))
    print(f"  network's share of the CPU time: {share:.3f}; without anything else: {bound:.3f}")


if __name__ == "__main__":
    main()
