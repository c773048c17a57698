"""Fixtures that several test packages share."""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of golden numbers: PPLR_GOLDEN_DIR, else our own copy."""
    return Path(os.environ.get("PPLR_GOLDEN_DIR") or Path(__file__).parent / "golden")


@pytest.fixture(scope="session")
def golden_rng(golden_dir: Path) -> Callable[[str], np.random.Generator]:
    """The generator of random numbers behind a tag of the golden set (tests/golden/README.md)."""
    seed = json.loads((golden_dir / "meta.json").read_text())["seed"]

    def generator(tag: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{tag}".encode())))

    return generator


@pytest.fixture(scope="session")
def plant() -> Callable[[Path, Iterable[str]], Path]:
    """Write a tree: a tiny real image for each path with an image's suffix, else some text."""

    def write(root: Path, paths: Iterable[str]) -> Path:
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            suffix = file.suffix.lower()
            if suffix in {".jpg", ".jpeg", ".png"} and not file.name.startswith("._"):
                colour = (zlib.crc32(os.fsencode(path)) % 256, 80, 160)
                kind = "PNG" if suffix == ".png" else "JPEG"
                Image.new("RGB", (4, 8), colour).save(file, kind)
            else:
                file.write_text("not an image\n")
        return root

    return write
