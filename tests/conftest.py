"""Fixtures shared by several test folders, and how the suite runs."""

import json
import os
import signal
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from pplr_cli.app import run
from pplr_cli.data.cache import decode_images
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.progress import Silent

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers have all cores busy
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for child processes
    torch.set_num_threads(1)

# The same examples every time, so that only a change can fail; the machine may be busy.
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")  # the other: pytest --hypothesis-profile=explore


MOST_WORKERS = 4
"""Each takes a gigabyte of memory."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the suite among the cores; run a selection of files in this process."""
    everything = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    # one more than the cores, as the worker of tests/faults often waits for its processes
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) + 1) if everything else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file in one worker, and all of tests/faults: its processes come from one zygote."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "faults" if "/faults/" in file else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest folder, so that no worker still has it at the end."""
    items.sort(key=lambda item: "faults" not in item.path.parts)


def pytest_configure() -> None:
    """Let child processes start with default signals, also where the tests run in the background.

    A child inherits a signal that is ignored, but not one that is handled.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of golden numbers: PPLR_GOLDEN_DIR, otherwise tests/golden."""
    return Path(os.environ.get("PPLR_GOLDEN_DIR") or Path(__file__).parent / "golden")


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The CPU, and a GPU if there is one; convolutions on it compute in float32, not TF32."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield torch.device(request.param)


@pytest.fixture(scope="session")
def golden_rng(golden_dir: Path) -> Callable[[str], np.random.Generator]:
    """The random number generator for a tag of the golden set (tests/golden/README.md)."""
    seed = json.loads((golden_dir / "meta.json").read_text())["seed"]

    def generator(tag: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{tag}".encode())))

    return generator


@pytest.fixture(scope="session")
def plant() -> Callable[[Path, Iterable[str]], Path]:
    """Write a tree of files: tiny images for paths with an image suffix, text for others."""

    def write(root: Path, paths: Iterable[str]) -> Path:
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            suffix = file.suffix.lower()
            if suffix in {".jpg", ".jpeg", ".png"} and not file.name.startswith("._"):
                noise = np.random.default_rng(zlib.crc32(os.fsencode(path)))
                kind = "PNG" if suffix == ".png" else "JPEG"
                pixels = noise.integers(0, 256, (32, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(file, kind)
            else:
                file.write_text("not an image\n")
        return root

    return write


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `tiny`: 8 training identities x 3 cameras x 4 small images."""
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.progress import Silent
    from pplr_cli.synthetic import world

    data_dir = tmp_path_factory.mktemp("data")
    settings = world.World(
        stream=9, train_people=8, test_people=4, cameras=3, visits=(3, 3), shots=(4, 4),
        height=32, width=16,
    )  # fmt: skip
    root = data_dir / "tiny" / "images"
    images = world.make(root, settings, seed=0, reporter=Silent())
    Manifest("tiny", "synthetic", root, tuple(images), {}).save(data_dir / "tiny")
    return data_dir


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset for `tiny`: two short epochs of the tiny backbone from random weights."""
    path = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    path.write_text(
        """
data: {name: tiny, height: 32, width: 16}
model: {backbone: tiny, weights: random, classes: 6}
clustering: {k1: 8, k2: 3, eps: 0.6}
agreement: {k: 8}
batch: {size: 16, instances: 4, replicas: 2}
optim: {epochs: 2, iters: 3}
loss: {aals_epoch: 1}
evaluation: {every: 1, at_start: true}
camera: {loss: {camera_weight: 1.0}}
"""
    )
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not use the user's cache."""
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


class Done(NamedTuple):
    """A finished run and the images it trained on."""

    folder: Path
    images: ImageSet
    pixels: np.ndarray


@pytest.fixture(scope="session")
def done(
    tiny_preset: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    """The tiny run in camera mode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PPLR_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("runs") / "tiny"
        options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
        assert run(["train-cam", *options, "--run-dir", str(folder), "-q"]) == 0
        images = Manifest.load(tiny_data / "tiny" / "manifest.json").split(Split.TRAIN)
        yield Done(folder, images, decode_images(images, 32, 16, Silent(), 1))


@pytest.fixture
def options(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "mode": "train", "preset": str(tiny_preset), "data_dir": tiny_data,
        "run_dir": tmp_path / "run", "device": "cpu", "workers": 1,
    }  # fmt: skip
