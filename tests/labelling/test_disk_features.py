"""Features on disk against the same features in memory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pplr_cli import files
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.distributed.processes import ALONE
from pplr_cli.errors import PplrError
from pplr_cli.labelling import disk_features
from pplr_cli.labelling.disk_features import DiskFeatures, kept_on_disk
from pplr_cli.labelling.stage import label

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_features, "BLOCK", 7)


def spaces(images: int = 60) -> Tensor:
    torch.manual_seed(0)
    centres = torch.randn(6, 16).repeat(images // 6, 1)
    return torch.nn.functional.normalize(centres + 0.3 * torch.randn(3, images, 16), dim=2)


def stored(features: Tensor) -> DiskFeatures:
    kept = DiskFeatures((3, features.shape[1], 16), CPU)
    for start in range(0, features.shape[1], 25):
        rows = slice(start, min(start + 25, features.shape[1]))
        kept[:, rows] = features[:, rows]
    return kept


def test_each_space_is_that_in_memory_rounded_to_float16(tmp_path: Path) -> None:
    kept, rounded = stored(spaces()), spaces().half().float()
    assert len(kept) == 3
    for space, found in enumerate(kept):
        assert torch.equal(found, rounded[space])
        assert torch.equal(kept[space], rounded[space])
    assert list((tmp_path / "cache").iterdir()) == []  # the file has no name


def test_the_labels_are_those_of_rounded_features_in_memory() -> None:
    settings = np.zeros(60, np.int64), Clustering(k1=10, k2=3), Agreement(k=5)
    found, expected = (label(each, *settings) for each in (stored(spaces()), spaces().half()))
    assert found.clusters == 6
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.agreement, expected.agreement)


def test_processes_get_the_images_of_the_others() -> None:
    features, owned = spaces(), [slice(0, 32), slice(32, 60)]
    sent: list[list[Tensor]] = []

    def broadcast_each(pieces: list[Tensor]) -> None:
        rank = next(rank for rank, piece in enumerate(pieces) if piece.numel())
        if rank == 0:
            sent.append(pieces)
        else:
            start = 32 + 7 * (len(received))
            received.append(start)
            pieces[1].copy_(features[:, start : start + pieces[1].shape[1]])

    received: list[int] = []
    processes: Any = SimpleNamespace(size=2, rank=0, broadcast_each=broadcast_each)
    kept = DiskFeatures((3, 60, 16), CPU)
    kept[:, owned[0]] = features[:, owned[0]]
    kept.share(owned, processes)
    assert torch.equal(torch.stack(list(kept)), features.half().float())
    assert torch.equal(torch.cat([each[0] for each in sent], 1), features[:, :32].half().float())
    kept.share([slice(0, 60)], ALONE)  # nothing to send


def test_auto_keeps_the_features_of_very_many_images_on_disk() -> None:
    assert not kept_on_disk("auto", (4, 100_000, 2048))
    assert kept_on_disk("auto", (4, 1_000_000, 2048))
    assert kept_on_disk("disk", (1, 2, 3))
    assert not kept_on_disk("memory", (4, 1_000_000, 2048))


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=5000))
    with pytest.raises(PplrError, match="the file of features needs") as caught:
        stored(spaces())
    assert "PPLR_CACHE_DIR" in (caught.value.hint or "")
