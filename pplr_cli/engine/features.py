"""Extract features in evaluation mode with the test transform.

Always in float32: from bf16 features the label stage makes clusters that match the identities less
well (`benchmarks/precision.py`), and extraction is a small part of an epoch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pplr_cli.data.augment import normalise
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.processes import Processes
from pplr_cli.engine.network import Network
from pplr_cli.labelling.disk_features import DiskFeatures, Features, kept_on_disk
from pplr_cli.runtime import Runtime


@torch.no_grad()
def extract(
    network: Network,
    images: ImageStore,
    runtime: Runtime,
    *,
    batch: int,
    parts: bool = True,
    mirrored: bool = False,
    kept: str = "memory",
) -> Features:
    """Return the L2-normalised features of N images as float32 [1 + P, N, D], global ones first.

    Several processes share the batches, so that an image is in the same batch with any number of
    processes; each process gets all features.

    Args:
        network: set to evaluation mode here.
        images: N images.
        runtime: its device is that of the network and of the store; the features stay there.
        batch: number of images in a batch.
        parts: extract part features too; without them the result is [1, N, D].
        mirrored: average the features of each image and its mirror image.
        kept: where: the value of `clustering.features`.
    """
    network.eval()
    branches = 1 + network.parts if parts else 1
    shape, device = (branches, len(images), network.feature_size), runtime.device
    features: Features
    if kept_on_disk(kept, shape):
        features = DiskFeatures(shape, device)
    else:
        features = torch.empty(shape, device=device)
    shares = _shares(len(images), batch, runtime.processes)
    own = shares[runtime.processes.rank]
    with runtime.reporter.task("extracting features", own.stop - own.start, "images") as task:
        for start in range(own.start, own.stop, batch):
            rows = slice(start, min(start + batch, own.stop))
            following = slice(rows.stop, min(rows.stop + batch, own.stop))
            taken = images.take(rows, following)
            features[:, rows] = embed_batch(network, taken, parts=parts, mirrored=mirrored)
            task.advance(rows.stop - rows.start)
    if isinstance(features, DiskFeatures):
        features.share(shares, runtime.processes)
    else:
        runtime.processes.broadcast_each([features[:, rows] for rows in shares])
    return features


def embed_batch(network: Network, images: Tensor, *, parts: bool, mirrored: bool) -> Tensor:
    """Return the features [1 + P, B, D] of uint8 images [B, H, W, 3]; [1, B, D] without parts."""
    features = network.embed(normalise(images), parts=parts)
    if not mirrored:
        return features
    mirror = network.embed(normalise(images.flip(2)), parts=parts)
    return F.normalize(features + mirror, dim=-1)


def _shares(images: int, batch: int, processes: Processes) -> list[slice]:
    """Return the images of each process: full batches, except for the last one."""
    batches = -(-images // batch)
    shares = [processes.share(batches, rank) for rank in range(processes.size)]
    return [slice(s.start * batch, min(s.stop * batch, images)) for s in shares]
