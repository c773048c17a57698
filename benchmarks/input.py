"""Measure images per second: decoded once and augmented in batches, or image by image.

    python -m benchmarks.input --images 2560 --rounds 5

Both sides have one worker: a `DataLoader` process that decodes, transforms and stacks, as the
official release does, and this process with one thread. Passes over all images alternate.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.tools import Watch
from pplr_cli import host
from pplr_cli.data.augment import MEAN, PADDING, STD, augment, draw_choices
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import ImageSet
from pplr_cli.data.store import ImageStore
from pplr_cli.progress import Silent

SOURCE = (64, 128)
"""Width and height of the image files, as Market-1501 has them."""


class Files(Dataset[torch.Tensor]):
    """Decodes and transforms one image at a time, with torchvision."""

    def __init__(self, files: list[Path], size: tuple[int, int]) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [
                transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.RandomHorizontalFlip(),
                transforms.Pad(PADDING),
                transforms.RandomCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
                transforms.RandomErasing(scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3), value=MEAN),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        image: torch.Tensor = self.transform(Image.open(self.files[index]).convert("RGB"))
        return image


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    host.keep_freed_memory()  # as training does on a CPU
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        images = make_photos(Path(folder), options.images, np.random.default_rng(0))
        compare(images, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2560, help="a multiple of the batch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def make_photos(folder: Path, count: int, rng: np.random.Generator) -> ImageSet:
    """Write JPEG files with the detail of photographs: coarse shapes and some noise."""
    width, height = SOURCE
    names = [f"{i:06}.jpg" for i in range(count)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
        photo = np.asarray(coarse.resize(SOURCE, Image.Resampling.BICUBIC), np.int16)
        noisy = photo + rng.integers(-8, 9, photo.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name, quality=90)
    unknown = np.full(count, -1)
    return ImageSet(folder, tuple(names), unknown, unknown)


def compare(images: ImageSet, options: argparse.Namespace) -> None:
    size = (options.height, options.width)
    start = time.perf_counter()
    pixels = decode_images(images, *size, Silent(), 1)
    once = time.perf_counter() - start
    store = ImageStore(pixels)
    loader = DataLoader(
        Files(images.files, size),
        options.batch,
        shuffle=True,
        drop_last=True,
        num_workers=1,
        persistent_workers=True,
    )
    each(loader)  # starts the worker
    ours(store, options.batch, epoch=0)
    watch = Watch()
    for epoch in range(1, options.rounds + 1):
        watch.measure("image by image", lambda: each(loader))
        watch.measure("in batches", lambda epoch=epoch: ours(store, options.batch, epoch))
    count = len(images) // options.batch * options.batch
    print(f"{count} images of {options.height} x {options.width}, batches of {options.batch}")
    print(f"  decoding and resizing once: {len(images) / once:.0f} images/s")
    for name in watch.seconds:
        print(f"  {name}: {count / watch.median(name):.0f} images/s")
    pairs = zip(watch.seconds["image by image"], watch.seconds["in batches"], strict=True)
    ratios = sorted(slow / fast for slow, fast in pairs)
    print(f"  ratio: {np.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})")


def each(loader: DataLoader[torch.Tensor]) -> None:
    for _ in loader:
        pass


def ours(store: ImageStore, batch: int, epoch: int) -> None:
    _, height, width, _ = store.pixels.shape
    order = torch.from_numpy(np.random.default_rng(epoch).permutation(len(store)))
    for step, rows in enumerate(order.split(batch)[: len(store) // batch]):
        choices = draw_choices(batch, height, width, seed=0, epoch=epoch, step=step)
        augment(store.take(rows), choices)


if __name__ == "__main__":
    main()
