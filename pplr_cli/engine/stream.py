"""Compute the features of images while threads decode the next ones."""

import warnings
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import torch
from PIL import Image
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.cache import Pixels
from pplr_cli.data.decode import resize
from pplr_cli.engine.features import embed_batch
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError
from pplr_cli.runtime import Runtime

CHUNK = 8
"""Images that a thread decodes at a time, as a call for each would take its time too."""

Broken = list[tuple[int, DataError]]
"""Positions of images that cannot be decoded, and why."""


@torch.no_grad()
def extract_stream(
    network: Network,
    count: int,
    read: Callable[[int], Image.Image],
    config: Config,
    runtime: Runtime,
    use: Callable[[Tensor], None],
    *,
    parts: bool = False,
    mirrored: bool = False,
    done: int = 0,
) -> Broken:
    """Compute L2-normalised features in batches, in order; at most a few batches are in memory.

    The values are those of `features.extract`. An image that cannot be decoded gets NaN.

    Args:
        network: set to evaluation mode here.
        count: N images.
        read: returns an image as RGB, by position; called from several threads. `DataError` if it
            cannot be decoded.
        config: image size and extraction batch.
        runtime: the device of the network, decoding threads, reporter.
        use: called with the features of each batch, float32 [1 + P, B, D], on the device.
        parts: compute part features too; without them the batches are [1, B, D].
        mirrored: average the features of each image and its mirror image.
        done: images done by an earlier process, for the progress.
    """
    network.eval()
    broken: Broken = []
    task = runtime.reporter.task("extracting features", done + count, "images", done)
    with task as progress, closing(_decoded(count, read, config, runtime)) as batches:
        for first, images, found in batches:
            pixels = images.to(runtime.device, non_blocking=True)
            features = embed_batch(network, pixels, parts=parts, mirrored=mirrored)
            if found:
                features[:, [row - first for row, _ in found]] = torch.nan
            broken += found
            use(features)
            progress.advance(len(images))
    return broken


def _decoded(
    count: int, read: Callable[[int], Image.Image], config: Config, runtime: Runtime
) -> Generator[tuple[int, Tensor, Broken], None, None]:
    """Yield batches: first position, uint8 [B, H, W, 3], broken images; decoded ahead on threads.

    The memory is pinned for a GPU.
    """
    size, batch = (config.data.height, config.data.width), config.engine.extract_batch

    def decode(pixels: Pixels, first: int) -> Broken:
        broken: Broken = []
        for row in range(len(pixels)):
            try:
                pixels[row] = resize(read(first + row), *size)
            except DataError as error:
                pixels[row] = 0
                broken.append((first + row, error))
        return broken

    def submit(first: int) -> tuple[int, Tensor, list[Future[Broken]]]:
        pinned, rows = runtime.device.type == "cuda", min(batch, count - first)
        images = torch.empty((rows, *size, 3), dtype=torch.uint8, pin_memory=pinned)
        chunks = ((row, images[row : row + CHUNK].numpy()) for row in range(0, rows, CHUNK))
        jobs = [threads.submit(decode, pixels, first + row) for row, pixels in chunks]
        return first, images, jobs

    with warnings.catch_warnings(), ThreadPoolExecutor(runtime.workers) as threads:
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata and on size
        try:
            starts = iter(range(0, count, batch))
            ahead = 2 + runtime.workers * CHUNK // batch
            waiting = deque(map(submit, islice(starts, ahead)))
            while waiting:
                first, images, jobs = waiting.popleft()
                broken = [each for job in jobs for each in job.result()]
                waiting.extend(map(submit, islice(starts, 1)))
                yield first, images, broken
        finally:
            threads.shutdown(cancel_futures=True)
