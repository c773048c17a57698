"""The batches of an epoch: repeatable, and shared by processes."""

import numpy as np
import pytest
import torch

from pplr_cli.config.fields import Batch, Config, Data, Optim
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.processes import Processes
from pplr_cli.engine.batches import Batches, TrainingImages
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runtime import Runtime

CONFIG = Config(
    data=Data(name="random", height=16, width=8),
    batch=Batch(size=8, instances=2, replicas=2),
    optim=Optim(iters=3),
)
LABELS = np.array([-1, 0, 0, 1, 1, 2, 2, 3, 3, 3])


class OneOf(Processes):
    """One of two processes."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank


@pytest.fixture
def images() -> TrainingImages:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 8, 3), np.uint8)
    return TrainingImages(ImageStore(pixels), np.arange(10) % 3, tuple("abcdefghij"))


def new_batches(
    images: TrainingImages, epoch: int = 0, processes: Processes | None = None
) -> Batches:
    agreement = np.random.default_rng(1).random((10, 3), np.float32)
    pseudo = PseudoLabels(LABELS, agreement)
    return Batches(images, pseudo, CONFIG, epoch, Runtime(processes=processes or Processes()))


def test_a_batch_depends_on_epoch_and_step_alone(images: TrainingImages) -> None:
    batches = new_batches(images)
    assert len(batches) == 3
    first, _ = batches.load(0)
    batches.load(1)
    assert torch.equal(batches.load(0)[0], first)
    assert torch.equal(new_batches(images).load(0)[0], first)
    assert not torch.equal(batches.load(1)[0], first)
    assert not torch.equal(new_batches(images, epoch=1).load(0)[0], first)


def test_targets_are_those_of_the_images(images: TrainingImages) -> None:
    batches = new_batches(images)
    loaded, targets = batches.load(2)
    rows = batches.rows[2]
    assert loaded.shape == (8, 3, 16, 8)
    assert targets.labels.tolist() == LABELS[rows].tolist()
    assert targets.cameras.tolist() == images.cameras[rows].tolist()
    assert targets.agreement.shape == (8, 3)
    assert (targets.labels >= 0).all()


def test_processes_load_their_share_and_all_targets(images: TrainingImages) -> None:
    expected, targets = new_batches(images).load(1)
    shares = [new_batches(images, processes=OneOf(rank)).load(1) for rank in (0, 1)]
    assert torch.equal(torch.cat([loaded for loaded, _ in shares]), expected)
    for _, known in shares:
        assert all(torch.equal(one, other) for one, other in zip(known, targets, strict=True))
