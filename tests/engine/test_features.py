"""Extraction against the network applied at once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pplr_cli.data.augment import normalise
from pplr_cli.data.store import ImageStore
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.runtime import Runtime


def test_batches_do_not_matter() -> None:
    network = Network("tiny", parts=2, classes=4).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (11, 32, 16, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network.embed(normalise(torch.from_numpy(pixels)))
    store = ImageStore(pixels)
    for batch in (1, 4, 11, 50):
        found = extract(network.train(), store, Runtime(), batch=batch)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    alone = extract(network, store, Runtime(), batch=4, parts=False)
    torch.testing.assert_close(alone, expected[:1], rtol=0, atol=1e-5)
    assert not network.training


def test_features_have_unit_length_and_are_float32_at_any_precision() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 16, 3), dtype=np.uint8)
    network, store = Network("tiny"), ImageStore(pixels)
    found = extract(network, store, Runtime(precision="bf16"), batch=2)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4, 5))
    assert torch.equal(found, extract(network, store, Runtime(), batch=2))


def test_mirrored_features_are_those_of_both_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 16, 3), dtype=np.uint8)
    network = Network("tiny", parts=2)
    one, other = (
        extract(network, ImageStore(np.ascontiguousarray(each)), Runtime(), batch=3)
        for each in (pixels, pixels[:, :, ::-1])
    )
    found = extract(network, ImageStore(pixels), Runtime(), batch=3, mirrored=True)
    both = one + other
    torch.testing.assert_close(found, both / both.norm(dim=-1, keepdim=True))
    assert not torch.allclose(found, one)


def test_features_on_disk_are_those_in_memory_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 16, 3), dtype=np.uint8)
    given = Network("tiny", parts=2), ImageStore(pixels), Runtime()
    found = torch.stack(list(extract(*given, batch=3, kept="disk")))
    expected = torch.stack(list(extract(*given, batch=3)))
    assert torch.equal(found, expected.half().float())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_features() -> None:
    network = Network("tiny")
    pixels = np.random.default_rng(0).integers(0, 256, (11, 32, 16, 3), dtype=np.uint8)
    expected = extract(network, ImageStore(pixels), Runtime(), batch=4)
    device = torch.device("cuda", 0)
    store = ImageStore(pixels, device)
    found = extract(network.to(device), store, Runtime(device), batch=4)
    assert found.device == device
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-3)
