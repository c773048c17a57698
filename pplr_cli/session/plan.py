"""What a run does and needs: images, memory and disk."""

from math import prod
from typing import NamedTuple

import numpy as np

from pplr_cli import host
from pplr_cli.config.fields import Config
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import cache_kind
from pplr_cli.engine import memory
from pplr_cli.labelling.disk_features import kept_on_disk
from pplr_cli.session.duration import Times
from pplr_cli.text import counted, sized
from pplr_cli.weights.catalogue import StartFile

STATES = 3
"""Copies of network and optimiser that the run folder holds while one is replaced."""
Rows = list[tuple[str, str]]
"""Lines of a table: what, value."""


class Memory(NamedTuple):
    """Bytes of each stage; decoded images that are mapped from disk are not counted."""

    network: int  # and optimiser
    batch: int  # kept for the backward pass
    features: int  # of the training images
    label_stage: int  # above the features
    evaluation: int
    budget: int  # of the evaluation
    images: int  # decoded, without a cache
    processes: int  # of this machine
    on_gpu: bool  # whether network, batch and features are in the memory of GPUs

    def parts(self, stage: str) -> dict[str, int]:
        """Return the bytes of a stage in host memory by part, above images and network."""
        copies = 1 if self.on_gpu else self.processes
        return {
            "training": {"batch": 0 if self.on_gpu else self.batch},
            "clustering": {"features": copies * self.features, "label_stage": self.label_stage},
            "evaluation": {"evaluation": self.evaluation},
        }[stage]

    @property
    def peak(self) -> dict[str, int]:
        """Bytes of host memory that all processes of this machine take, by stage."""
        always = self.processes * (self.images + (0 if self.on_gpu else self.network))
        stages = "training", "clustering", "evaluation"
        return {stage: always + sum(self.parts(stage).values()) for stage in stages}

    def document(self) -> dict[str, int]:
        """Return all bytes by name."""
        fields = self._asdict()
        del fields["processes"], fields["on_gpu"]
        return fields | {"peak": max(self.peak.values())}


class Disk(NamedTuple):
    """Bytes on disk."""

    images: int  # in the cache
    features: int  # of the training images, if they are kept there
    states: int  # two and a new one, and weights, in the run folder


class Needs(NamedTuple):
    """What a run does and needs."""

    config: Config
    manifest: Manifest
    images: dict[str, int]  # by split
    disk: Disk
    memory: Memory
    download: StartFile | None  # starting weights that are not on this machine yet

    def rows(self) -> Rows:
        """Return the table for people."""
        config, batch, optim = self.config, self.config.batch, self.config.optim
        share = "half of what is free" if config.engine.memory_gb is None else "as set"
        names = {
            "network and optimiser": self.memory.network,
            f"a batch of {batch.size}": self.memory.batch,
            "features of the training images": self.memory.features,
            "label stage, above the features": self.memory.label_stage,
            "evaluation": self.memory.evaluation,
        }
        names["decoded images"] = self.memory.images
        names = {what: taken for what, taken in names.items() if taken}
        names["all of it at once, at most"] = max(self.memory.peak.values())
        epochs = counted(optim.epochs, "epochs")
        scores = "mAP and CMC" if self.manifest.can_evaluate else "none: no labelled query/gallery"
        return [
            ("data set", f"{self.manifest.name} at {self.manifest.root}"),
            ("images", ", ".join(f"{count:,} {split}" for split, count in self.images.items())),
            ("image size", f"{config.data.height} x {config.data.width}"),
            ("network", f"{config.model.backbone} from {config.model.weights}"),
            *self._download_row(),
            ("training", f"{epochs} of {optim.iters} batches of {batch.size}"),
            ("replicas", f"{batch.replicas} of {batch.size // batch.replicas} images"),
            ("images in the cache on disk", sized(self.disk.images)),
            *([("features on disk", sized(self.disk.features))] * (self.disk.features > 0)),
            ("states and weights on disk", sized(self.disk.states)),
            ("evaluation", scores),
            *((f"memory: {what}", sized(taken)) for what, taken in names.items()),
            ("memory budget", f"{sized(self.memory.budget)} ({share})"),
            ("memory of this machine", sized(host.memory()["total"])),
        ]

    def _download_row(self) -> Rows:
        """Return the line about weights that the run downloads first, if it does."""
        if self.download is None:
            return []
        size = sized(self.download.size) if self.download.size else "size not published"
        name, setting = self.download.name, f"`model.weights` = `{self.config.model.weights}`"
        return [("download before training", f"`{name}`, {size} ({setting})")]


class Plan(NamedTuple):
    """What a run does and needs, and how long it takes."""

    needs: Needs
    times: Times


def needs(
    config: Config,
    manifest: Manifest,
    *,
    cache: bool = True,
    tracked: bool = False,
    on_gpu: bool = False,
    processes: int = 1,
    download: StartFile | None = None,
) -> Needs:
    """Return what a run does and needs.

    Args:
        config: its settings.
        manifest: its data set.
        cache: whether the cache on disk is used.
        tracked: whether tracks are clustered, which takes little memory.
        on_gpu: whether it trains on GPUs.
        processes: of the run on this machine.
        download: starting weights that it downloads first.
    """
    if not cache:
        config = config.model_copy(
            update={"data": config.data.model_copy(update={"cache": "none"})}
        )
    sets = {split: manifest.split(split) for split in Split}
    used = list(sets.values()) if manifest.can_evaluate else [sets[Split.TRAIN]]
    queries, gallery = [len(each) for each in used[1:]] or [0, 0]
    images, parts = len(sets[Split.TRAIN]), config.model.parts
    network = memory.training(config)
    size = network.feature_size
    shape = 1 + parts, images, size
    on_disk = kept_on_disk(config.clustering.features, shape)
    limit = memory.budget(config.engine.memory_gb)
    stage = memory.label_stage(images, parts, size, config.clustering, config.agreement)
    decoded = 3 * config.data.height * config.data.width * sum(map(len, used))
    taken = Memory(
        network.state,
        network.batch,
        memory.features(images, 1 if on_disk else 1 + parts, size),
        0 if tracked else stage,
        memory.retrieval(queries, gallery, size, limit),
        limit,
        decoded if config.data.cache == "none" else 0,
        processes,
        on_gpu,
    )
    by_name = {str(split): len(each) for split, each in sets.items()}
    disk = Disk(
        _cache(config, used),
        processes * prod(shape) * 2 if on_disk else 0,
        STATES * network.state,
    )
    return Needs(config, manifest, by_name, disk, taken, download)


def _cache(config: Config, sets: list[ImageSet]) -> int:
    """Return the bytes that the cache takes on disk; of packed files by the size of some."""
    total = 0.0
    for images in sets:
        kind = cache_kind(len(images), config.data)
        if kind == "compact":
            sizes = [file.stat().st_size for file in images.files[:: -(-len(images) // 1000)]]
            total += len(images) * float(np.mean(sizes))
        elif kind == "pixels":
            total += len(images) * 3 * config.data.height * config.data.width
    return round(total)
