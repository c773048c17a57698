"""Made-up data sets for `benchmarks.gpu`."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Picture

from pplr_cli import host
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest


class Market(NamedTuple):
    """A data set's size: images of training, queries and gallery, and identities of each half."""

    train: int = 12936
    query: int = 3368
    gallery: int = 15913
    identities: int = 751


TINY_MARKET = Market(64, 8, 24, 8)
CAMERAS = 6
ROOM = 12_000_000_000
"""Bytes of decoded images of two such runs."""


def make_market(folder: Path, market: Market) -> None:
    """Write JPEGs of 128 x 64: an identity's coloured stripes, a camera's tint, noise."""
    rng = np.random.default_rng(0)
    tints = rng.normal(0, 12, (CAMERAS, 1, 1, 3))
    images: list[Image] = []
    jobs = []
    counts = {Split.TRAIN: market.train, Split.QUERY: market.query, Split.GALLERY: market.gallery}
    for split, count in counts.items():
        (folder / "images" / split).mkdir(parents=True)
        first = 0 if split is Split.TRAIN else market.identities
        for number in range(count):
            identity = first + number % market.identities
            camera = (number // market.identities + (split is Split.QUERY)) % CAMERAS
            path = f"{split}/{identity:04d}_c{camera + 1}_{number:05d}.jpg"
            images.append(Image(split, path, identity + 1, camera))
            jobs.append((folder / "images" / path, identity, camera, number))

    looks = rng.integers(0, 256, (2 * market.identities, 16, 4, 3))

    def draw(job: tuple[Path, int, int, int]) -> None:
        path, identity, camera, number = job
        noise = np.random.default_rng([identity, number]).normal(0, 25, (16, 4, 3))
        grid = (looks[identity] + tints[camera] + noise).clip(0, 255).astype(np.uint8)
        picture = Picture.fromarray(grid).resize((64, 128), Picture.Resampling.NEAREST)
        picture.save(path, quality=90)

    with ThreadPoolExecutor(host.cores()) as pool:
        list(pool.map(draw, jobs, chunksize=64))
    Manifest("bench", "synthetic", folder / "images", tuple(images), {}).save(folder)


def fast_folder() -> str | None:
    """Return a folder in memory if it has room for the images: what is measured is not the disk."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > ROOM
    return str(shared) if roomy else None


def tiny_demo(folder: Path) -> None:
    """Write a few made-up people under the demo's name."""
    make_market(folder, Market(96, 8, 24, 8))
    manifest = Manifest.load(folder / "manifest.json")
    Manifest("demo", "synthetic", manifest.root, manifest.images, {}).save(folder)
