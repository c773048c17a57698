"""Features of a stream of images: those of all images decoded first."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from pplr_cli.config import presets
from pplr_cli.data.decode import resize
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import stream
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.engine.stream import extract_stream
from pplr_cli.errors import DataError
from pplr_cli.runtime import Runtime


@pytest.fixture
def config(tiny_preset):
    return presets.resolve(str(tiny_preset), "train", ["engine.extract_batch=16"])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network("tiny", classes=6)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (40, 20, 3), np.uint8)) for _ in range(53)]


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_features_are_those_of_decoded_images(network, config, images, parts, workers):
    pixels = np.stack([resize(image, 32, 16) for image in images])
    expected = extract(network, ImageStore(pixels), Runtime(), batch=16, parts=parts)
    batches = []
    runtime = Runtime(workers=workers)
    broken = extract_stream(
        network, 53, images.__getitem__, config, runtime, batches.append, parts=parts
    )
    assert broken == []
    assert [batch.shape[1] for batch in batches] == [16, 16, 16, 5]
    torch.testing.assert_close(torch.cat(batches, 1), expected, rtol=0, atol=0)


def test_broken_images_are_nan_and_change_no_other(network, config, images):
    def read(row):
        if row in (3, 20, 52):
            raise DataError(f"broken {row}")
        return images[row]

    whole, some = [], []
    extract_stream(network, 53, images.__getitem__, config, Runtime(workers=2), whole.append)
    broken = extract_stream(network, 53, read, config, Runtime(workers=2), some.append)
    assert [(row, error.message) for row, error in broken] == [
        (row, f"broken {row}") for row in (3, 20, 52)
    ]
    expected, found = torch.cat(whole, 1), torch.cat(some, 1)
    expected[:, [3, 20, 52]] = torch.nan
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_decoding_goes_on_while_the_network_works_and_no_further(network, config, images):
    """While the first batch is used, the next two are decoded, and none after these."""
    ready, seen = threading.Event(), []

    def read(row):
        seen.append(row)
        if len(seen) == 3 * 16:
            ready.set()
        return images[row % 53]

    def use(batch):
        if len(batch[0]) == 16 and len(used) == 0:
            assert ready.wait(20)
            assert max(seen) < 3 * 16
        used.append(batch)

    used = []
    assert stream.CHUNK * 1 // 16 == 0
    extract_stream(network, 160, read, config, Runtime(workers=1), use)
    assert len(used) == 10


def test_an_exception_stops_the_threads(network, config, images):
    def use(batch):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        extract_stream(network, 53, images.__getitem__, config, Runtime(workers=2), use)
    assert threading.active_count() == before
