"""Replace `auto` in the settings by numbers that fit a data set."""

from math import ceil, lcm

from pplr_cli.config.fields import Batch, Config
from pplr_cli.config.types import is_auto
from pplr_cli.progress import Reporter

LARGEST, SHARE = 64, 4
"""A batch holds at most 64 images, as published, and at most a quarter of all."""
PASSES = 400 * 64 / 12_936
"""How often an epoch shows each image, about twice: as published for Market-1501."""


def fitted(config: Config, images: int, reporter: Reporter) -> Config:
    """Return the settings with numbers for `images` training images; report those chosen."""
    chosen: dict[str, int] = {}
    size, iters = config.batch.size, config.optim.iters
    if is_auto(size):
        chosen["batch.size"] = size = _batch(config.batch, images)
    if is_auto(iters):
        chosen["optim.iters"] = iters = max(1, round(PASSES * images / size))
    if not chosen:
        return config
    values = ", ".join(f"`{key}` = {value}" for key, value in chosen.items())
    reporter.info(f"chosen for {images:,} images: {values}")
    batch = config.batch.model_copy(update={"size": size})
    optim = config.optim.model_copy(update={"iters": iters})
    return config.model_copy(update={"batch": batch, "optim": optim})


def _batch(batch: Batch, images: int) -> int:
    """Return the largest size that instances and replicas divide, at least two of each."""
    unit = lcm(batch.instances, batch.replicas)
    least = ceil(2 * max(batch.instances, batch.replicas) / unit)
    return unit * max(least, min(LARGEST, images // SHARE) // unit)
