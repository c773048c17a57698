"""What can be known before training starts: do the data fit the settings, what will it take."""

import numpy as np

from pplr_cli.config.fields import Config, Mode
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.engine import memory
from pplr_cli.errors import DataError, UsageError


def check(config: Config, mode: Mode, manifest: Manifest) -> None:
    """Refuse settings that the training images cannot serve.

    Raises:
        UsageError: fewer images than a neighbour search or a batch needs.
        DataError: camera losses without at least two cameras.
    """
    images = manifest.split(Split.TRAIN)
    needs = {
        "clustering.k1": config.clustering.k1,
        "agreement.k": config.agreement.k + 1,
        "batch.size": config.batch.size,
    }
    key, need = max(needs.items(), key=lambda item: item[1])
    if len(images) < need:
        raise UsageError(
            f"data set `{manifest.name}` has {len(images)} training images, `{key}` needs {need}",
            f"lower `{key}` with --set, or use more images",
        )
    if mode == "train-cam":
        cameras = len(np.unique(images.cameras)) if images.has_cameras else 0
        if cameras < 2:
            raise DataError(
                f"data set `{manifest.name}`: `pplr train-cam` needs the labels of two cameras or "
                f"more, it has {cameras or 'none'}",
                "use `pplr train`, or prepare the data set with its cameras",
            )


def check_replicas(config: Config, processes: int) -> None:
    """Refuse a number of processes that the batch cannot be shared among; `UsageError`."""
    replicas = config.batch.replicas
    if replicas % processes:
        fits = [str(n) for n in range(1, replicas + 1) if replicas % n == 0]
        raise UsageError(
            f"{processes} processes cannot share the {replicas} replicas of a batch",
            f"use --devices {' or '.join(fits)}, or another `batch.replicas` (results differ)",
        )


def plan(config: Config, manifest: Manifest) -> list[tuple[str, str]]:
    """Return what a run does and takes, as (what, value) for people."""
    counts = {split: len(manifest.split(split)) for split in Split}
    pixels = 3 * config.data.height * config.data.width
    optim, batch = config.optim, config.batch
    return [
        ("data set", f"{manifest.name} at {manifest.root}"),
        ("images", ", ".join(f"{count} {split}" for split, count in counts.items())),
        ("image size", f"{config.data.height} x {config.data.width}"),
        ("network", f"{config.model.backbone} from {config.model.weights}"),
        ("training", f"{optim.epochs} epochs of {optim.iters} batches of {batch.size}"),
        ("replicas", f"{batch.replicas} of {batch.size // batch.replicas} images"),
        ("decoded images on disk", f"{sum(counts.values()) * pixels / 1e9:.2f} GB"),
        (
            "evaluation",
            "mAP and CMC" if manifest.can_evaluate else "none: no labelled query/gallery",
        ),
        *_memory(config, counts),
    ]


def _memory(config: Config, counts: dict[Split, int]) -> list[tuple[str, str]]:
    """Return what a run takes of the memory; images are mapped, they take what is free."""
    images, parts = counts[Split.TRAIN], config.model.parts
    network = memory.training(config)
    size = network.feature_size
    stage = memory.label_stage(images, parts, config.clustering, config.agreement)
    limit = memory.budget(config.engine.memory_gb)
    found = memory.retrieval(counts[Split.QUERY], counts[Split.GALLERY], size, limit)
    share = "half of what is free" if config.engine.memory_gb is None else "as set"
    rows = {
        "network and optimiser": network.state,
        f"a batch of {config.batch.size}": network.batch,
        "features of the training images": memory.features(images, 1 + parts, size),
        "label stage, above the features": stage,
        "evaluation": found,
    }
    return [
        *((f"memory: {what}", f"{taken / 1e9:.2f} GB") for what, taken in rows.items()),
        ("memory budget", f"{limit / 1e9:.2f} GB ({share})"),
    ]
