"""Feature extraction in evaluation mode with the test transform.

In float32, whatever the precision of training: from bf16 features the label stage makes clusters
that fit the identities less well (`benchmarks/precision.py`), and extraction is a small part of an
epoch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pplr_cli.data.augment import normalise
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.processes import Processes
from pplr_cli.engine.network import Network
from pplr_cli.runtime import Runtime


@torch.no_grad()
def extract(
    network: Network,
    images: ImageStore,
    runtime: Runtime,
    *,
    batch: int,
    parts: bool = True,
) -> Tensor:
    """Return the L2-normalised features of N images as float32 [1 + P, N, D], global ones first.

    Several processes share out the batches, so that an image is in the same batch with any number
    of them; all of them get all features.

    Args:
        network: set to evaluation mode here.
        images: N images.
        runtime: its device is that of the network and of the store; the features stay there.
        batch: images at a time.
        parts: whether the part features are wanted too; without them the result is [1, N, D].
    """
    network.eval()
    branches = 1 + network.parts if parts else 1
    features = torch.empty((branches, len(images), network.feature_size), device=runtime.device)
    shares = _shares(len(images), batch, runtime.processes)
    own = shares[runtime.processes.rank]
    with runtime.reporter.task("extracting features", own.stop - own.start, "images") as task:
        for rows in _batches(own, batch):
            whole, part = network.embed(normalise(images.take(rows)))
            features[0, rows] = whole
            if parts:
                features[1:, rows] = part
            task.advance(len(whole))
    runtime.processes.exchange([features[:, rows] for rows in shares])
    return features


def _shares(images: int, batch: int, processes: Processes) -> list[slice]:
    """Return the images of each process: whole batches, but for the last one."""
    batches = -(-images // batch)
    shares = [processes.share(batches, rank) for rank in range(processes.size)]
    return [slice(s.start * batch, min(s.stop * batch, images)) for s in shares]


def _batches(rows: slice, size: int) -> Iterator[slice]:
    starts = range(rows.start, rows.stop, size)
    return (slice(start, min(start + size, rows.stop)) for start in starts)
