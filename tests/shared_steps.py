"""Trains 20 steps in one, two and four processes; keeps what the first one of each computed.

    python -m tests.shared_steps MANIFEST FOLDER

The network computes in float64: in float32 Adam turns the rounding of a gradient near zero into a
step of full length, and within 20 steps two runs drift apart that began with equal losses.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore
from torch.multiprocessing import start_processes

from pplr_cli.config.fields import Batch, Clustering, Config, Data, Model, Optim
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.processes import ALONE, Group, Processes
from pplr_cli.engine import batches, features, trainer
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.network import initial_network
from pplr_cli.progress import Silent
from pplr_cli.runtime import Runtime

CONFIG = Config(
    data=Data(name="tiny", height=32, width=16),
    model=Model(backbone="tiny", weights="random", classes=6),
    clustering=Clustering(k1=8, k2=3, eps=0.6),
    agreement={"k": 8},
    batch=Batch(size=16, instances=4, replicas=4),
    optim=Optim(epochs=2, iters=10),
)


def main(data: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    use_float64()
    for count in (1, 2, 4):
        store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        arguments = (count, store.port, data, folder / f"{count}.pt")
        start_processes(work, arguments, count, start_method="fork")


def work(rank: int, count: int, port: int, data: Path, out: Path) -> None:
    """Train in both modes, as one of `count` processes."""
    os.environ |= {"WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    processes = Group(torch.device("cpu")) if count > 1 else ALONE
    found = {mode: train(mode, data, processes) for mode in ("train", "train-cam")}
    if processes.first:
        torch.save(found, out)
    processes.close()


def use_float64() -> None:
    for module, name in ((batches, "augment"), (features, "normalise")):
        original = getattr(module, name)
        setattr(module, name, lambda *args, _original=original: _original(*args).double())


def train(mode: str, data: Path, processes: Processes) -> dict[str, Any]:
    """Return the total loss of each step, each epoch's labels and the weights at the end."""
    images = Manifest.load(data).split(Split.TRAIN)
    pixels = decode_images(images, 32, 16, Silent(), 1)
    seen = batches.TrainingImages(ImageStore(pixels), images.cameras, images.paths)
    network = initial_network(CONFIG, None, Silent()).double()
    runtime = Runtime(processes=processes)
    worker = trainer.Trainer(CONFIG, network, seen, runtime, with_cameras=mode == "train-cam")
    losses: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []

    def after(epoch: Epoch) -> None:
        if epoch.pseudo is not None and worker.current is not None:
            losses.extend(step["loss_total"] for step in worker.current.losses)
            labels.append(torch.from_numpy(epoch.pseudo.labels))

    worker.run(after)
    return {"losses": torch.stack(losses), "labels": labels, "weights": network.state_dict()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
